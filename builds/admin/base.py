"""Base classes of the admin's pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator

from builds.models import ComponentBuild, ModuleBuild, Wait
from mbs.errors import MBSError

#: Digits of an id, which must fit into 64 bits.
MAX_ID_DIGITS = 18
#: Characters of a reason in a list.
_REASON_LENGTH = 100


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's class takes none
    """Read-only rows with actions, which need Django's permission to change the rows."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may run actions."""
        return super().has_change_permission(request)

    def run_action(
        self, request: HttpRequest, rows: QuerySet[Any], what: str, act: Callable[[Any, str], object]
    ) -> None:
        """Run an action on each row, record it, and show the results.

        Args:
            what: The action in the past tense, for the record and the message.
            act: Called with the row and the name of the user.
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


class ReasonColumn:
    """A column with the beginning of the state reason."""

    @admin.display(ordering="state_reason")
    def reason(self, build: ModuleBuild | ComponentBuild) -> str:
        """Return the reason, shortened. Its tooltip shows all of it."""
        text = build.state_reason or ""
        return format_html('<span title="{}">{}</span>', text, Truncator(text).chars(_REASON_LENGTH))


class FlowerLink:
    """A column that links a wait to its task in Flower."""

    @admin.display(description="in Flower")
    def in_flower(self, wait: Wait) -> str:
        """Return the link, or "-" if no address of Flower is configured."""
        if not settings.MBS.FLOWER_URL:
            return "-"
        address = f"{settings.MBS.FLOWER_URL}/task/{wait.celery_task_id}"
        return format_html('<a href="{}">task</a>', address)


class ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]  # Django's class takes none
    """A read-only table of related rows."""

    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False


def link(row: Model | None, text: str = "") -> str:
    """Return a link to the page of a row in the admin."""
    if row is None:
        return "-"
    address = reverse(f"admin:builds_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, text or row)
