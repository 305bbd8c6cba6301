"""Admin pages of module builds, component builds, architectures and virtual streams."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from builds import dispatch
from builds.admin.base import (
    FlowerLink,
    KnownValues,
    NumberSearch,
    ReadOnlyAdmin,
    ReadOnlyInline,
    ReasonColumn,
    StateNameColumn,
    link,
)
from builds.api import links
from builds.api.actions import CANCEL, RETIRE
from builds.messaging import outbox
from builds.models import (
    Arch,
    ComponentBuild,
    ComponentBuildTrace,
    LogMessage,
    ModuleBuild,
    ModuleBuildTrace,
    VirtualStream,
    Wait,
)
from builds.services import cancellation, retirement
from builds.web.time_format import Moment, duration
from mbs.nsvc import NSVC
from mbs.reuse import STRATEGIES
from mbs.states import ACTIVE


class ModuleTraceInline(StateNameColumn, ReadOnlyInline):
    """The state changes of a module build."""

    model = ModuleBuildTrace
    fields = readonly_fields = ("time", "state_name", "state_reason")


class ComponentTraceInline(StateNameColumn, ReadOnlyInline):
    """The state changes of a component build."""

    model = ComponentBuildTrace
    fields = readonly_fields = ("time", "state_name", "state_reason", "task_id")


class WaitInline(FlowerLink, ReadOnlyInline):
    """The waits of a build."""

    model = Wait
    fields = ("what", "wakes_on", "created_at", "woken_at", "in_flower", "key")
    readonly_fields = ("in_flower",)


class LogMessageInline(ReadOnlyInline):
    """The log messages of a build."""

    model = LogMessage
    fields = ("time_created", "message")


class Strategy(KnownValues):
    """Filter builds by their rebuild strategy."""

    title, parameter_name = "rebuild strategy", "rebuild_strategy"
    values = STRATEGIES


@admin.register(ModuleBuild)
class ModuleBuildAdmin(NumberSearch, ReasonColumn, ReadOnlyAdmin):
    """Module builds, with actions to cancel, retry, retire and advance them."""

    list_display = ("id", "module", "shown", "reason", "owner", "in_batch", "doing", "age", "took")
    list_display_links = ("id", "module")
    list_filter = ("state", "scratch", Strategy)
    search_fields = ("name",)
    search_help_text = "An id, N:S:V:C or its beginning, an owner, or a Koji tag"
    ordering = ("-id",)
    inlines = (ModuleTraceInline, WaitInline, LogMessageInline)
    actions = ("cancel", "retry", "retire", "advance_now", "resend_messages")
    readonly_fields = ("components", "actions_on_it", "in_the_api", "document", "doing")
    #: Fields at the top of the page.
    first = (
        *("state", "state_reason", "error_code", "error_hint", "components", "actions_on_it"),
        "in_the_api",
        *("owner", "scratch", "batch", "doing", "time_submitted", "time_modified", "time_completed"),
    )

    def with_text(self, rows: QuerySet[ModuleBuild], text: str) -> QuerySet[ModuleBuild]:
        """Return the builds that match the beginning of an N:S:V:C, an owner or a Koji tag."""
        if ":" in text:
            nsvc = NSVC.split(text.strip(":"))
            return rows.filter(**nsvc) if nsvc else rows.none()
        return rows.filter(Q(name=text) | Q(owner=text) | Q(koji_tag=text))

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModuleBuild]:
        """Return all builds; without their modulemd in the list."""
        listed = request.resolver_match and request.resolver_match.url_name == "builds_modulebuild_changelist"
        rows = super().get_queryset(request)
        return rows.defer("modulemd") if listed else rows

    def get_fields(self, request: HttpRequest, obj: ModuleBuild | None = None) -> tuple[str, ...]:
        """Return all fields, with the modulemd last."""
        placed = {*self.first, "modulemd", "document", "phase"}
        names = [name for name in super().get_fields(request, obj) if isinstance(name, str)]
        return (*self.first, *(name for name in names if name not in placed), "document")

    @admin.display(description="waits for", ordering="phase")
    def doing(self, build: ModuleBuild) -> str:
        """Return the event that ends the current state or phase."""
        return build.waits_for or "-"

    @admin.display(description="modulemd")
    def document(self, build: ModuleBuild) -> str:
        """Return the modulemd with its line breaks."""
        return format_html("<pre>{}</pre>", build.modulemd)

    @admin.display(ordering="name")
    def module(self, build: ModuleBuild) -> str:
        """Return the N:S:V:C, which may be broken into lines, and a mark for scratch builds."""
        scratch = format_html(' <span class="mark">{}</span>', "scratch") if build.scratch else ""
        names = build.name, build.stream, scratch, build.version, build.context
        return format_html('<b>{}</b>:{}{}<br><span class="quiet">{}:{}</span>', *names)

    @admin.display(description="state", ordering="state")
    def shown(self, build: ModuleBuild) -> str:
        """Return the state, or ``canceled``."""
        return build.shown_state

    @admin.display(description="batch", ordering="batch")
    def in_batch(self, build: ModuleBuild) -> str:
        """Return the current batch and the number of batches, once there are any."""
        if not build.batch:
            return "-"
        return f"{build.batch} of {build.batches}" if build.batches else str(build.batch)

    @admin.display(description="submitted", ordering="time_submitted")
    def age(self, build: ModuleBuild) -> str:
        """Return how long ago the build was submitted; the tooltip shows the time."""
        submitted = Moment(build.time_submitted, timezone.now())
        return format_html('<span title="{}">{}</span>', submitted.full, submitted.ago)

    @admin.display(description="took")
    def took(self, build: ModuleBuild) -> str:
        """Return how long the build took, or takes so far."""
        if build.state in ACTIVE:
            return f"{duration(timezone.now() - build.time_submitted)} so far"
        return duration(build.time_completed - build.time_submitted) if build.time_completed else "-"

    @admin.display(description="who did what")
    def actions_on_it(self, build: ModuleBuild) -> str:
        """Return a link to the audit list."""
        address = reverse("admin:builds_auditentry_changelist")
        return format_html('<a href="{}?module_build__id__exact={}">Actions on it</a>', address, build.pk)

    def view_on_site(self, build: ModuleBuild) -> str:
        """Return the public page of the build."""
        return reverse("build", args=[build.pk])

    def components(self, build: ModuleBuild) -> str:
        """Return a link to the list of components."""
        address = reverse("admin:builds_componentbuild_changelist")
        return format_html('<a href="{}?module_build__id__exact={}">Its components</a>', address, build.pk)

    @admin.display(description="in the API")
    def in_the_api(self, build: ModuleBuild) -> str:
        """Return a link to the build in the API."""
        address = f"{links.root('2')}module-builds/{build.pk}?verbose=1"
        return format_html('<a href="{}">{}</a>', address, address)

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[ModuleBuild]) -> TemplateResponse | None:
        """Cancel the selected builds."""
        act, consequence = cancellation.cancel_once, CANCEL.consequence
        return self.run_action(request, rows, "Canceled", act, consequence=consequence, audited=True)

    @admin.action(description="Retry: resume failed builds", permissions=["operate"])
    def retry(self, request: HttpRequest, rows: QuerySet[ModuleBuild]) -> None:
        """Resume the selected failed builds."""
        self.run_action(request, rows, "Retried", cancellation.resume, audited=True)

    @admin.action(
        description="Retire: move ready and failed builds to the state garbage", permissions=["operate"]
    )
    def retire(self, request: HttpRequest, rows: QuerySet[ModuleBuild]) -> TemplateResponse | None:
        """Move the selected builds to the state garbage."""
        act, consequence = retirement.retire, RETIRE.consequence
        return self.run_action(request, rows, "Retired", act, consequence=consequence, audited=True)

    @admin.action(description="Advance: dispatch the remaining steps now", permissions=["operate"])
    def advance_now(self, request: HttpRequest, rows: QuerySet[ModuleBuild]) -> None:
        """Dispatch the remaining steps of the selected builds."""
        self.run_action(request, rows, "Advanced", lambda build, who: dispatch.advance(build.pk))

    @admin.action(description="Resend messages", permissions=["operate"])
    def resend_messages(self, request: HttpRequest, rows: QuerySet[ModuleBuild]) -> None:
        """Publish all bus messages of the selected builds again."""
        self.run_action(
            request, rows, "Resent messages of", lambda build, who: outbox.resend(build.outbox.all())
        )


@admin.register(ComponentBuild)
class ComponentBuildAdmin(NumberSearch, ReasonColumn, ReadOnlyAdmin):
    """Component builds."""

    list_display = ("id", "package", "module", "state", "reason", "batch", "nvr", "task", "attempt")
    list_display_links = ("id", "package")
    list_filter = ("state", "build_time_only")
    list_select_related = ("module_build",)
    search_fields = ("package",)
    search_help_text = "The id of a component build or of its task, a package, or an NVR"
    ordering = ("-id",)
    inlines = (ComponentTraceInline, WaitInline)
    fields = (
        *("module", "package", "scmurl", "ref", "batch", "state", "state_reason", "nvr", "task", "attempt"),
        *("tagged", "tagged_in_final", "build_time_only", "weight", "reuse_code", "reuse_detail"),
        *("time_started", "time_completed", "submitting_until"),
    )
    readonly_fields = ("module", "task")

    def with_number(self, rows: QuerySet[ComponentBuild], number: int) -> QuerySet[ComponentBuild]:
        """Return the component builds that match an id or a task id."""
        return rows.filter(Q(pk=number) | Q(task_id=number))

    def with_text(self, rows: QuerySet[ComponentBuild], text: str) -> QuerySet[ComponentBuild]:
        """Return the component builds that match a package or an NVR."""
        return rows.filter(Q(package=text) | Q(nvr=text))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the link from a module build to the list of its components."""
        return lookup == "module_build__id__exact" or super().lookup_allowed(lookup, value, request)

    def view_on_site(self, component: ComponentBuild) -> str:
        """Return the public page of the module build."""
        return reverse("build", args=[component.module_build_id])

    @admin.display(ordering="module_build")
    def module(self, component: ComponentBuild) -> str:
        """Return a link to the module build."""
        return link(component.module_build)

    @admin.display(ordering="task_id", description="in the build system")
    def task(self, component: ComponentBuild) -> str:
        """Return a link to the task in the build system."""
        if not component.task_url:
            return str(component.task_id or "-")
        return format_html('<a href="{}">{}</a>', component.task_url, component.task_id or "log")


@admin.register(Arch, VirtualStream)
class NameAdmin(ReadOnlyAdmin):
    """Architectures and virtual streams, with the number of their builds."""

    list_display = ("name", "builds")
    search_fields = ("name",)

    def builds(self, row: Arch | VirtualStream) -> int:
        """Return the number of builds."""
        return row.modulebuild_set.count()
