"""The admin page of the audit list: who did what."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from builds.admin.base import KnownValues, NumberSearch, ReadOnlyAdmin, link
from builds.models import AuditEntry, ModuleBuild
from builds.services import audit


class Action(KnownValues):
    """Filter entries by the usual actions."""

    title = parameter_name = "action"
    values = audit.ACTIONS


@admin.register(AuditEntry)
class AuditEntryAdmin(NumberSearch, ReadOnlyAdmin):
    """Actions of people through the API, the pages, the admin and commands."""

    list_display = ("time", "who", "action", "what", "via", "detail")
    list_filter = (Action, "via")
    list_select_related = ("module_build",)
    search_fields = ("who",)
    search_help_text = "A user, the id of a build, or the name of a module"
    ordering = ("-id",)
    fields = ("time", "who", "action", "what", "via", "detail", "request_id")
    readonly_fields = ("what",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """Return all entries, without the documents of their builds."""
        rows: QuerySet[AuditEntry] = super().get_queryset(request)
        return rows.defer("module_build__modulemd")

    def with_number(self, rows: QuerySet[AuditEntry], number: int) -> QuerySet[AuditEntry]:
        """Return the entries of a build."""
        return rows.filter(module_build=number)

    def with_text(self, rows: QuerySet[AuditEntry], text: str) -> QuerySet[AuditEntry]:
        """Return the entries of a user, or of the builds of a module."""
        # Each condition has an index. Combined by OR, the database reads all entries to count those found.
        of_user, of_module = Q(who=text), Q(module_build__name=text)
        if not ModuleBuild.objects.filter(name=text).exists():
            return rows.filter(of_user)
        if not AuditEntry.objects.filter(of_user).exists():
            return rows.filter(of_module)
        return rows.filter(of_user | of_module)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the links from a build and from a user to their entries."""
        allowed = lookup in ("module_build__id__exact", "who")
        return allowed or super().lookup_allowed(lookup, value, request)

    def what(self, entry: AuditEntry) -> str:
        """Return a link to the build, or the name of the thing that was changed."""
        return link(entry.module_build, entry.subject) if entry.module_build else entry.subject or "-"
