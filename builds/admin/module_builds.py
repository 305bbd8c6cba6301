"""Builds of modules and components, and the names that belong to them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.timesince import timesince

from builds import dispatch
from builds.admin.base import LONGEST_ID, InFlower, ReadOnlyAdmin, Reasons, Rows, link
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
from mbs.states import ACTIVE


class ModuleTraces(Rows):
    model = ModuleBuildTrace
    fields = ("time", "state", "state_reason")


class ComponentTraces(Rows):
    model = ComponentBuildTrace
    fields = ("time", "state", "state_reason", "task_id")


class Waits(InFlower, Rows):
    model = Wait
    fields = ("what", "wakes_on", "created_at", "woken_at", "in_flower", "key")
    readonly_fields = ("in_flower",)


class Logs(Rows):
    model = LogMessage
    fields = ("time_created", "message")


@admin.register(ModuleBuild)
class ModuleBuildAdmin(Reasons, ReadOnlyAdmin):
    list_display = ("id", "nsvc", "state", "reason", "owner", "scratch", "batch", "doing", "age")
    list_display_links = ("id", "nsvc")
    list_filter = ("state", "scratch", "rebuild_strategy")
    search_fields = ("name",)
    search_help_text = "A number, N:S:V:C or its beginning, an owner, or a Koji tag"
    date_hierarchy = "time_submitted"
    ordering = ("-id",)
    inlines = (ModuleTraces, Waits, Logs)
    actions = ("cancel", "retry", "retire", "advance_now", "resend_messages")
    readonly_fields = ("components", "in_the_api", "document", "doing")
    #: what operators look for first
    first = (
        *("state", "state_reason", "error_code", "error_hint", "components", "in_the_api"),
        *("owner", "scratch", "batch", "doing", "time_submitted", "time_modified", "time_completed"),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ModuleBuild], search_term: str
    ) -> tuple[QuerySet[ModuleBuild], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.isascii() and term.isdigit() and len(term) <= LONGEST_ID:
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
        placed = {*self.first, "modulemd", "document", "phase"}
        others = [name for name in super().get_fields(request, obj) if name not in placed]
        return [*self.first, *others, "document"]

    @admin.display(description="phase", ordering="phase")
    def doing(self, build: ModuleBuild) -> str:
        """What is done to the batch at hand; of a build that has ended the phase says nothing."""
        return build.get_phase_display() if build.state in ACTIVE else "-"

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

    @admin.display(description="in the API")
    def in_the_api(self, build: ModuleBuild) -> str:
        address = f"/module-build-service/2/module-builds/{build.pk}?verbose=1"
        return format_html('<a href="{}">{}</a>', address, address)

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[ModuleBuild]) -> None:
        self.carry_out(request, rows, "Canceled", cancellation.cancel_once)

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
class ComponentBuildAdmin(Reasons, ReadOnlyAdmin):
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
        if term.isascii() and term.isdigit() and len(term) <= LONGEST_ID:
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


@admin.register(Arch, VirtualStream)
class NameAdmin(ReadOnlyAdmin):
    list_display = ("name", "builds")
    search_fields = ("name",)

    def builds(self, row: Any) -> int:
        return row.modulebuild_set.count()
