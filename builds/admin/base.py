"""Base classes of the admin's pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import Model, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator

from builds.models import ComponentBuild, ComponentBuildTrace, ModuleBuild, ModuleBuildTrace, Wait
from builds.services import audit
from mbs.errors import MBSError
from mbs.states import BuildState, ComponentState
from mbs.text import whole_number

#: Characters of a reason in a list.
_REASON_LENGTH = 100
#: Rows on a confirmation page.
MAX_CONFIRMED = 200


#: Max characters of a search: Django makes a condition of each word.
MAX_SEARCH = 1000
#: Lookups of columns that filters and links use. Some values of others raise errors, such as 0 for ``year``.
_LOOKUPS = frozenset({"exact", "isnull", "isempty", "gte", "lt"})


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's class takes none
    """Rows whose changes in the admin are added to the audit list."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list.

        Raises:
            BadRequest: A parameter contains a character that PostgreSQL does not store, the search is too
                long, or a chosen row has a key that no row can have.
        """
        for name, values in (*request.GET.lists(), *request.POST.lists()):
            if any("\0" in text for text in (name, *values)):
                raise BadRequest(f"The parameter {name[:100]!r} contains the character NUL.")
        if len(request.GET.get(SEARCH_VAR, "")) > MAX_SEARCH:
            raise BadRequest(f"The search has more than {MAX_SEARCH} characters.")
        for text in request.POST.getlist(ACTION_CHECKBOX_NAME):
            try:
                self.opts.pk.run_validators(self.opts.pk.to_python(text))
            except ValidationError:
                raise BadRequest(f"No row can have the key {text[:100]!r}.") from None
        return super().changelist_view(request, extra_context)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Return whether the list may be limited by a lookup."""
        _, separator, last = lookup.rpartition(LOOKUP_SEP)
        return (not separator or last in _LOOKUPS) and super().lookup_allowed(lookup, value, request)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Record that a row was added."""
        self._audit(request, audit.ADDED, obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Record that a row was changed."""
        self._audit(request, audit.CHANGED, obj, _fields(message))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Record that rows are deleted."""
        for obj in queryset:
            self._audit(request, audit.DELETED, obj)
        return super().log_deletions(request, queryset)

    def _audit(self, request: HttpRequest, action: str, obj: Any, detail: str = "") -> None:
        subject = f"{self.opts.verbose_name} {obj}"
        audit.record(action, request.user.get_username(), subject=subject, detail=detail)


class NumberSearch:
    """A search for a number or a text, whose methods ``with_number`` and ``with_text`` find the rows."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows that match a search term, all if it is blank; False, since none occurs twice."""
        term = search_term.strip()
        if not term:
            return queryset, False
        number = whole_number(term)
        found = self.with_text(queryset, term) if number is None else self.with_number(queryset, number)
        return found, False

    def with_number(self, rows: QuerySet[Any], number: int) -> QuerySet[Any]:
        """Return the rows that match a number."""
        return rows.filter(pk=number)

    def with_text(self, rows: QuerySet[Any], text: str) -> QuerySet[Any]:
        """Return the rows that match a text; each admin class that uses this one defines it."""
        raise NotImplementedError  # not abstract: the metaclass of admin classes is not ABCMeta


class ReadOnly:
    """Rows that the admin's forms do not add, change or delete."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False

    has_change_permission = has_delete_permission = has_add_permission


class ReadOnlyAdmin(ReadOnly, AuditedAdmin):
    """Read-only rows with actions, which need Django's permission to change the rows."""

    list_per_page = 50
    show_full_result_count = False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may run actions."""
        return AuditedAdmin.has_change_permission(self, request)

    def run_action(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        what: str,
        act: Callable[[Any, str], object],
        *,
        consequence: str = "",
        audited: bool = False,
    ) -> TemplateResponse | None:
        """Run an action on each row, record it, and show the results.

        Args:
            what: The action in the past tense, for the record and the message.
            act: Called with the row and the name of the user.
            consequence: A sentence for the page that asks for confirmation first; empty: no such page.
            audited: Whether ``act`` adds the action to the audit list itself.

        Returns:
            The page that asks for confirmation; None for the list.
        """
        if consequence and "confirmed" not in request.POST:
            return self._confirmation(request, rows, consequence)
        who, done = request.user.get_username(), 0
        for row in rows:
            try:
                act(row, who)
            except MBSError as error:
                self.message_user(request, f"{row}: {error.message} {error.hint}", messages.ERROR)
                continue
            admin.ModelAdmin.log_change(self, request, row, what)  # not twice in the audit list
            if not audited:
                self._audit(request, what.lower(), row)
            done += 1
        if done:
            self.message_user(request, f"{what}: {done}", messages.SUCCESS)
        return None

    def _confirmation(
        self, request: HttpRequest, rows: QuerySet[Any], consequence: str
    ) -> TemplateResponse | None:
        chosen = list(rows[: MAX_CONFIRMED + 1])
        if len(chosen) > MAX_CONFIRMED:
            self.message_user(
                request, f"Nothing was changed: choose at most {MAX_CONFIRMED} rows.", messages.ERROR
            )
            return None
        name = request.POST.get("action", "")
        found = self.get_action(name)
        verb = str(found[2]).partition(":")[0] if found else name
        values = {
            **self.admin_site.each_context(request),
            "title": f"{verb} {len(chosen)} {self._noun(len(chosen))}?",
            "verb": verb,
            "consequence": consequence,
            "rows": chosen,
            "opts": self.opts,
            "action": name,
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "builds/confirm_action.html", values)

    def _noun(self, count: int) -> str:
        return str(self.opts.verbose_name if count == 1 else self.opts.verbose_name_plural)


class KnownValues(admin.SimpleListFilter):
    """Filter a column by known values; Django would read all rows to find them."""

    values: Iterable[str] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices of the filter."""
        return [(value, value) for value in self.values]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with the chosen value."""
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class ReasonColumn:
    """A column with the beginning of the state reason."""

    @admin.display(ordering="state_reason")
    def reason(self, build: ModuleBuild | ComponentBuild) -> str:
        """Return the reason, shortened. Its tooltip shows all of it."""
        text = build.state_reason or ""
        return format_html('<span title="{}">{}</span>', text, Truncator(text).chars(_REASON_LENGTH))


class StateNameColumn:
    """A column with the name of the state of a trace."""

    @admin.display(description="state")
    def state_name(self, trace: ModuleBuildTrace | ComponentBuildTrace) -> str:
        """Return the name of the state; "-" for a component without a slot."""
        if trace.state is None:
            return "-"
        if isinstance(trace, ModuleBuildTrace):
            return BuildState(trace.state).word
        return ComponentState(trace.state).name


class FlowerLink:
    """A column that links a wait to its task in Flower."""

    @admin.display(description="in Flower")
    def in_flower(self, wait: Wait) -> str:
        """Return the link, or "-" if no address of Flower is configured."""
        if not settings.MBS.FLOWER_URL:
            return "-"
        address = f"{settings.MBS.FLOWER_URL}/task/{wait.celery_task_id}"
        return format_html('<a href="{}">task</a>', address)


class ReadOnlyInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]  # Django's class takes none
    """A read-only table of related rows."""

    extra = 0
    show_change_link = False


def link(row: Model | None, text: str = "") -> str:
    """Return a link to the page of a row in the admin."""
    if row is None:
        return "-"
    address = reverse(f"admin:builds_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, text or row)


def _fields(message: Any) -> str:
    """Return the names of the changed fields in a message of Django's admin."""
    if isinstance(message, str):
        return message
    names = (name for part in message for name in part.get("changed", {}).get("fields", ()))
    return ", ".join(map(str, names))
