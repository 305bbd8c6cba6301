"""Share what all pages of the admin need."""

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

#: ids are 64-bit numbers
LONGEST_ID = 18
#: characters
_SHOWN_OF_REASONS = 100


class ReadOnlyAdmin(admin.ModelAdmin):
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

        Args:
            act: ``act(row, who)``.
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
        css = {"all": ("web/admin.css",)}

    @admin.display(ordering="state_reason")
    def reason(self, build: ModuleBuild | ComponentBuild) -> str:
        text = build.state_reason or ""
        return format_html('<span title="{}">{}</span>', text, Truncator(text).chars(_SHOWN_OF_REASONS))


class InFlower:
    """Links a wait to its task in Flower, where an address of Flower is configured."""

    @admin.display(description="in Flower")
    def in_flower(self, wait: Wait) -> str:
        if not settings.MBS.FLOWER_URL:
            return "-"
        address = f"{settings.MBS.FLOWER_URL}/task/{wait.celery_task_id}"
        return format_html('<a href="{}">task</a>', address)


class Rows(admin.TabularInline):
    """Rows that belong to another, to look at."""

    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def link(row: Model | None, text: str = "") -> str:
    """A link to the page of a row in the admin."""
    if row is None:
        return "-"
    address = reverse(f"admin:builds_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, text or row)
