"""Admin pages of waits, bus messages and sweeps."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.timesince import timesince

from builds import dispatch
from builds.admin.base import FlowerLink, ReadOnlyAdmin, link
from builds.messaging import outbox
from builds.models import OutboxMessage, Sweep, Wait, clock


@admin.register(Wait)
class WaitAdmin(FlowerLink, ReadOnlyAdmin):
    """Waits, the oldest first, with an action to wake them."""

    list_display = ("what", "wakes_on", "waiting", "module", "component", "last_woken", "in_flower", "key")
    list_select_related = ("module_build", "component_build")
    search_fields = ("=key", "=module_build__name")
    ordering = ("created_at",)
    actions = ("wake_now",)
    readonly_fields = ("in_flower",)

    @admin.display(description="since", ordering="created_at")
    def waiting(self, wait: Wait) -> str:
        """Return how long the wait lasts."""
        return timesince(wait.created_at)

    @admin.display(ordering="woken_at")
    def last_woken(self, wait: Wait) -> str:
        """Return when the wait was last woken."""
        return f"{timesince(wait.woken_at)} ago" if wait.woken_at else "never"

    def module(self, wait: Wait) -> str:
        """Return a link to the module build."""
        return link(wait.module_build)

    def component(self, wait: Wait) -> str:
        """Return a link to the component build."""
        return link(wait.component_build, wait.component_build.package if wait.component_build else "")

    @admin.action(description="Wake: send the waiting tasks again now", permissions=["operate"])
    def wake_now(self, request: HttpRequest, rows: QuerySet[Wait]) -> None:
        """Send the tasks of the selected waits again."""
        self.run_action(request, rows, "Woken", lambda wait, who: dispatch.wake_waits([wait]))


class Published(admin.SimpleListFilter):
    """Filter messages by whether the bus has confirmed them."""

    title = parameter_name = "published"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices of the filter."""
        return [("no", "not yet"), ("yes", "confirmed"), ("never", "set aside: it cannot be published")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the messages that the chosen value selects."""
        match self.value():
            case "yes":
                return queryset.exclude(published_at=None)
            case "no":
                return queryset.filter(published_at=None, set_aside_at=None)
            case "never":
                return queryset.filter(published_at=None).exclude(set_aside_at=None)
        return queryset


@admin.register(OutboxMessage)
class OutboxAdmin(ReadOnlyAdmin):
    """Bus messages, with an action to publish them again."""

    list_display = (
        "id",
        "topic",
        "module",
        "created_at",
        "published_at",
        "set_aside_at",
        "error",
        "message_id",
    )
    list_filter = (Published, "topic")
    list_select_related = ("module_build",)
    ordering = ("-id",)
    actions = ("resend",)

    def module(self, message: OutboxMessage) -> str:
        """Return a link to the module build."""
        return link(message.module_build)

    @admin.action(description="Resend", permissions=["operate"])
    def resend(self, request: HttpRequest, rows: QuerySet[OutboxMessage]) -> None:
        """Publish the selected messages again."""
        self.run_action(
            request,
            rows,
            "Resent",
            lambda message, who: outbox.resend(OutboxMessage.objects.filter(pk=message.pk)),
        )


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin):
    """Sweeps, with an action to run them."""

    list_display = ("name", "started_at", "finished_at", "found", "failed", "running")
    ordering = ("name",)
    actions = ("run_now",)

    @admin.display(description="result")
    def found(self, sweep: Sweep) -> str:
        """Return the beginning of the result, since a prediction may have 100 KB."""
        return Truncator(json.dumps(sweep.result)).chars(500)

    @admin.display(boolean=True)
    def failed(self, sweep: Sweep) -> bool:
        """Return whether the last run failed."""
        return bool(sweep.error)

    @admin.display(boolean=True)
    def running(self, sweep: Sweep) -> bool:
        """Return whether the sweep is running."""
        return sweep.leased_until is not None and sweep.leased_until > clock.now()

    @admin.action(description="Run now", permissions=["operate"])
    def run_now(self, request: HttpRequest, rows: QuerySet[Sweep]) -> None:
        """Run the selected sweeps."""
        self.run_action(request, rows, "Started", lambda sweep, who: dispatch.send_now(f"sweep.{sweep.name}"))
