"""The operators' desk: what there is, what hangs and on what, and the few things to do about it.

Nothing is edited here, since rows belong to the services: operators act, by the same services that the
API and the workflow use, and every action is recorded with who and when (Django's ``LogEntry``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.timesince import timesince

from builds import dispatch
from builds.messaging import outbox
from builds.models import (
    ApiToken,
    Arch,
    ComponentBuild,
    ComponentBuildTrace,
    LogMessage,
    ModuleBuild,
    ModuleBuildTrace,
    OutboxMessage,
    Sweep,
    VirtualStream,
    Wait,
)
from builds.services import cancellation, retirement
from builds.services.identity import Scope, tokens
from mbs.errors import MBSError

admin.site.site_header = admin.site.site_title = "Module Build Service"
admin.site.index_title = "Operators' desk"
admin.site.index_template = "builds/desk.html"

#: ids are 64-bit numbers
_LONGEST_ID = 18
#: characters
_SHOWN_OF_REASONS = 100


class Desk(admin.ModelAdmin):
    """Rows to look at. Whoever may change them, by Django's permissions, may run the actions."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this user may run actions."""
        return super().has_change_permission(request)

    def carry_out(
        self, request: HttpRequest, rows: QuerySet[Any], what: str, act: Callable[[Any, str], object]
    ) -> None:
        """Do something to each of the rows, record it, and say how it went.

        :param act: ``act(row, who)``.
        """
        who, done = request.user.get_username(), 0
        for row in rows:
            try:
                act(row, who)
            except MBSError as error:
                self.message_user(request, f"{row}: {error.message} {error.hint}", messages.ERROR)
                continue
            self.log_change(request, row, what)
            done += 1
        if done:
            self.message_user(request, f"{what} {done}", messages.SUCCESS)


class Reasons:
    """Shortens the reasons of states in a list; a page has them in full."""

    class Media:
        css = {"all": ("web/desk.css",)}

    @admin.display(ordering="state_reason")
    def reason(self, build: ModuleBuild | ComponentBuild) -> str:
        text = build.state_reason or ""
        return format_html('<span title="{}">{}</span>', text, Truncator(text).chars(_SHOWN_OF_REASONS))


class Rows(admin.TabularInline):
    """Rows that belong to another, to look at."""

    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ModuleTraces(Rows):
    model = ModuleBuildTrace
    fields = ("time", "state", "state_reason")


class ComponentTraces(Rows):
    model = ComponentBuildTrace
    fields = ("time", "state", "state_reason", "task_id")


class InFlower:
    """Links a wait to its task in Flower, where an address of Flower is configured."""

    @admin.display(description="in Flower")
    def in_flower(self, wait: Wait) -> str:
        if not settings.MBS.FLOWER_URL:
            return "-"
        address = f"{settings.MBS.FLOWER_URL}/task/{wait.celery_task_id}"
        return format_html('<a href="{}">task</a>', address)


class Waits(InFlower, Rows):
    model = Wait
    fields = ("what", "wakes_on", "created_at", "woken_at", "in_flower", "key")
    readonly_fields = ("in_flower",)


class Logs(Rows):
    model = LogMessage
    fields = ("time_created", "message")


def link(row: Model | None, text: str = "") -> str:
    """A link to the page of a row on this desk."""
    if row is None:
        return "-"
    address = reverse(f"admin:builds_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, text or row)


@admin.register(ModuleBuild)
class ModuleBuildDesk(Reasons, Desk):
    list_display = ("id", "nsvc", "state", "reason", "owner", "scratch", "batch", "phase", "age")
    list_display_links = ("id", "nsvc")
    list_filter = ("state", "scratch", "rebuild_strategy")
    search_fields = ("name",)
    search_help_text = "A number, N:S:V:C or its beginning, an owner, or a Koji tag"
    date_hierarchy = "time_submitted"
    ordering = ("-id",)
    inlines = (ModuleTraces, Waits, Logs)
    actions = ("cancel", "retry", "retire", "advance_now", "resend_messages")
    readonly_fields = ("components", "in_the_api", "document")
    #: what operators look for first
    first = (
        *(
            "state",
            "state_reason",
            "error_code",
            "error_hint",
            "components",
            "in_the_api",
            "owner",
            "scratch",
        ),
        *("batch", "phase", "time_submitted", "time_modified", "time_completed"),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ModuleBuild], search_term: str
    ) -> tuple[QuerySet[ModuleBuild], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.isascii() and term.isdigit() and len(term) <= _LONGEST_ID:
            return queryset.filter(pk=int(term)), False
        if ":" in term:
            parts = [part for part in term.split(":") if part]
            return queryset.filter(
                **dict(zip(("name", "stream", "version", "context"), parts, strict=False))
            ), False
        return queryset.filter(Q(name=term) | Q(owner=term) | Q(koji_tag=term)), False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModuleBuild]:
        listed = request.resolver_match and request.resolver_match.url_name == "builds_modulebuild_changelist"
        rows = super().get_queryset(request)
        return rows.defer("modulemd") if listed else rows

    def get_fields(self, request: HttpRequest, obj: ModuleBuild | None = None) -> list[str]:
        """All fields, the longest at the end."""
        placed = {*self.first, "modulemd", "document"}
        others = [name for name in super().get_fields(request, obj) if name not in placed]
        return [*self.first, *others, "document"]

    @admin.display(description="modulemd")
    def document(self, build: ModuleBuild) -> str:
        return format_html("<pre>{}</pre>", build.modulemd)

    @admin.display(description="submitted", ordering="time_submitted")
    def age(self, build: ModuleBuild) -> str:
        return f"{timesince(build.time_submitted)} ago"

    def view_on_site(self, build: ModuleBuild) -> str:
        """The page that everybody sees."""
        return reverse("build", args=[build.pk])

    def components(self, build: ModuleBuild) -> str:
        address = reverse("admin:builds_componentbuild_changelist")
        return format_html('<a href="{}?module_build__id__exact={}">Its components</a>', address, build.pk)

    def in_the_api(self, build: ModuleBuild) -> str:
        address = f"/module-build-service/2/module-builds/{build.pk}?verbose=1"
        return format_html('<a href="{}">{}</a>', address, address)

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[ModuleBuild]) -> None:
        self.carry_out(request, rows, "Canceled", cancellation.cancel)

    @admin.action(description="Retry: start failed builds again", permissions=["operate"])
    def retry(self, request: HttpRequest, rows: QuerySet[ModuleBuild]) -> None:
        self.carry_out(request, rows, "Retried", cancellation.resume)

    @admin.action(description="Retire: make garbage of ready and failed builds", permissions=["operate"])
    def retire(self, request: HttpRequest, rows: QuerySet[ModuleBuild]) -> None:
        self.carry_out(request, rows, "Retired", retirement.retire)

    @admin.action(description="Advance now: look at what remains to be done", permissions=["operate"])
    def advance_now(self, request: HttpRequest, rows: QuerySet[ModuleBuild]) -> None:
        self.carry_out(request, rows, "Advanced", lambda build, who: dispatch.advance(build.pk))

    @admin.action(description="Resend messages", permissions=["operate"])
    def resend_messages(self, request: HttpRequest, rows: QuerySet[ModuleBuild]) -> None:
        self.carry_out(
            request, rows, "Resent messages of", lambda build, who: outbox.resend(build.outbox.all())
        )


@admin.register(ComponentBuild)
class ComponentBuildDesk(Reasons, Desk):
    list_display = ("id", "package", "module", "state", "reason", "batch", "nvr", "task", "attempt")
    list_display_links = ("id", "package")
    list_filter = ("state", "build_time_only")
    list_select_related = ("module_build",)
    search_fields = ("package",)
    search_help_text = "A number of a component build or of a task, a package, or an NVR"
    ordering = ("-id",)
    inlines = (ComponentTraces, Waits)
    fields = (
        *("module", "package", "scmurl", "ref", "batch", "state", "state_reason", "nvr", "task", "attempt"),
        *("tagged", "tagged_in_final", "build_time_only", "weight", "reuse_code", "reuse_detail"),
        *("time_started", "time_completed", "submitting_until"),
    )
    readonly_fields = ("module", "task")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ComponentBuild], search_term: str
    ) -> tuple[QuerySet[ComponentBuild], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.isascii() and term.isdigit() and len(term) <= _LONGEST_ID:
            return queryset.filter(Q(pk=int(term)) | Q(task_id=int(term))), False
        return queryset.filter(Q(package=term) | Q(nvr=term)), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "module_build__id__exact" or super().lookup_allowed(lookup, value, request)

    def view_on_site(self, component: ComponentBuild) -> str:
        """The page of its module build, which everybody sees."""
        return reverse("build", args=[component.module_build_id])

    @admin.display(ordering="module_build")
    def module(self, component: ComponentBuild) -> str:
        return link(component.module_build)

    @admin.display(ordering="task_id", description="in the build system")
    def task(self, component: ComponentBuild) -> str:
        if not component.task_url:
            return str(component.task_id or "-")
        return format_html('<a href="{}">{}</a>', component.task_url, component.task_id or "log")


@admin.register(Wait)
class WaitDesk(InFlower, Desk):
    """What hangs, and on what: the oldest first."""

    list_display = ("what", "wakes_on", "waiting", "module", "component", "last_woken", "in_flower", "key")
    list_select_related = ("module_build", "component_build")
    search_fields = ("=key", "=module_build__name")
    ordering = ("created_at",)
    actions = ("wake_now",)
    readonly_fields = ("in_flower",)

    @admin.display(description="since", ordering="created_at")
    def waiting(self, wait: Wait) -> str:
        return timesince(wait.created_at)

    @admin.display(ordering="woken_at")
    def last_woken(self, wait: Wait) -> str:
        return f"{timesince(wait.woken_at)} ago" if wait.woken_at else "never"

    def module(self, wait: Wait) -> str:
        return link(wait.module_build)

    def component(self, wait: Wait) -> str:
        return link(wait.component_build, wait.component_build.package if wait.component_build else "")

    @admin.action(description="Wake now: have them look at the facts again", permissions=["operate"])
    def wake_now(self, request: HttpRequest, rows: QuerySet[Wait]) -> None:
        self.carry_out(request, rows, "Woken", lambda wait, who: dispatch.wake_waits([wait]))


class Published(admin.SimpleListFilter):
    """Whether the bus has confirmed a message."""

    title = parameter_name = "published"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "not yet"), ("yes", "confirmed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return (
            queryset if self.value() is None else queryset.filter(published_at__isnull=self.value() == "no")
        )


@admin.register(OutboxMessage)
class OutboxDesk(Desk):
    list_display = ("id", "topic", "module", "created_at", "published_at", "message_id")
    list_filter = (Published, "topic")
    list_select_related = ("module_build",)
    ordering = ("-id",)
    actions = ("resend",)

    def module(self, message: OutboxMessage) -> str:
        return link(message.module_build)

    @admin.action(description="Resend", permissions=["operate"])
    def resend(self, request: HttpRequest, rows: QuerySet[OutboxMessage]) -> None:
        self.carry_out(
            request,
            rows,
            "Resent",
            lambda message, who: outbox.resend(OutboxMessage.objects.filter(pk=message.pk)),
        )


@admin.register(Sweep)
class SweepDesk(Desk):
    list_display = ("name", "started_at", "finished_at", "result", "failed", "running")
    ordering = ("name",)
    actions = ("run_now",)

    @admin.display(boolean=True)
    def failed(self, sweep: Sweep) -> bool:
        return bool(sweep.error)

    @admin.display(boolean=True)
    def running(self, sweep: Sweep) -> bool:
        return sweep.leased_until is not None and sweep.leased_until > timezone.now()

    @admin.action(description="Run now", permissions=["operate"])
    def run_now(self, request: HttpRequest, rows: QuerySet[Sweep]) -> None:
        self.carry_out(request, rows, "Started", lambda sweep, who: dispatch.send_now(f"sweep.{sweep.name}"))


class NewToken(forms.ModelForm):
    """A token that an operator makes for somebody."""

    groups = forms.CharField(
        required=False,
        help_text="Of the owner, with blanks between them. With LDAP they are looked up there.",
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in Scope],
        initial=tokens.DEFAULT_SCOPES,
        widget=forms.CheckboxSelectMultiple,
        help_text="What the token may be used for.",
    )
    days = forms.IntegerField(min_value=1, initial=tokens.DEFAULT_DAYS, help_text="How long it is valid.")

    class Meta:
        model = ApiToken
        fields = ("owner", "name", "groups", "scopes", "days")

    def clean_groups(self) -> list[str]:
        return self.cleaned_data["groups"].split()

    def clean_days(self) -> int:
        days, longest = self.cleaned_data["days"], settings.MBS.API_TOKEN_DAYS_MAX
        if days > longest:
            raise forms.ValidationError(f"At most {longest}.")
        return days


@admin.register(ApiToken)
class ApiTokenDesk(Desk):
    list_display = (
        "name",
        "owner",
        "start",
        "scopes",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    search_fields = ("=owner", "name")
    ordering = ("-id",)
    exclude = ("digest",)
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_operate_permission(request)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **kwargs, **({} if obj else {"form": NewToken}))

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        return super().get_exclude(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        given = form.cleaned_data
        wanted = {key: given[key] for key in ("groups", "scopes", "days")}
        row, token = tokens.create(given["owner"], given["name"], **wanted)
        obj.pk, obj.start = row.pk, row.start
        self.message_user(request, f"The token, which is shown only now: {token}", messages.WARNING)

    @admin.action(description="Revoke", permissions=["operate"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        self.carry_out(request, rows, "Revoked", lambda token, who: tokens.revoke(token))


@admin.register(Arch, VirtualStream)
class NameDesk(Desk):
    list_display = ("name", "builds")
    search_fields = ("name",)

    def builds(self, row: Any) -> int:
        return row.modulebuild_set.count()


@admin.register(LogEntry)
class RecordDesk(Desk):
    """What operators did, and when."""

    list_display = ("action_time", "user", "content_type", "object_repr", "get_change_message")
    list_filter = ("content_type",)
    list_select_related = ("user", "content_type")
    search_fields = ("=user__username", "object_repr")
