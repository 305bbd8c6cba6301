"""Read the filters of a list of builds: those of the API, and some that only pages have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from rest_framework.request import Request

from builds.api import parameters
from builds.api.filters import FilterBackend
from builds.api.filtersets import ModuleBuildFilterSet
from builds.api.views.modules import ModuleBuildViewSet
from builds.models import ModuleBuild
from builds.services import saved_searches
from builds.web import people
from mbs.errors import InvalidInput, NotAuthenticated
from mbs.states import ACTIVE, BuildState
from mbs.text import whole_number

#: Filters of the API that pages do not have: they scan a whole table, or query the build system.
NOT_HERE = frozenset({"modulemd", "state_reason", "srpms", "rpm"})
FILTERS = frozenset(ModuleBuildFilterSet.names()) - NOT_HERE
BEFORE, MINE, STATE, OWNER = "before", "mine", "state", "owner"
#: Value of ``state`` for all states of active builds.
ACTIVE_WORD = "active"


@dataclass(frozen=True)
class Choice:
    """A link that changes one filter.

    Attributes:
        text: Text of the link.
        address: URL of the list with the changed filter.
        current: Whether the list already has this filter.
    """

    text: str
    address: str
    current: bool = False


class Query:
    """The checked parameters of a request for a list.

    Attributes:
        before: Only builds with a smaller id are shown; None for the newest ones.
        given: The filters of the request.
    """

    def __init__(self, request: Request, before: int | None) -> None:
        self._request = request
        self.path: str = request.path
        self.given: QueryDict = request.query_params
        self.before = before
        self._person = people.shown(request._request)

    @property
    def mine(self) -> bool:
        """Return whether only builds of the current user are shown."""
        return MINE in self.given

    @property
    def filtered(self) -> bool:
        """Return whether there is any filter."""
        return bool(self.given)

    @property
    def saveable(self) -> str:
        """Return the filters for a saved search, in a fixed order; empty if there are none."""
        return saved_searches.normalized(self.given)

    def filter(self, rows: QuerySet[ModuleBuild]) -> QuerySet[ModuleBuild]:
        """Return the builds that match all filters.

        Raises:
            InvalidInput: The value of a filter is invalid.
            NotAuthenticated: The user's own builds are requested, but the request has no user.
        """
        if self.mine:
            if not self._person:
                raise NotAuthenticated(
                    "Your own builds are only shown to logged-in users.",
                    hint="Log in at /login, or name the owner: /?owner=NAME",
                )
            rows = rows.filter(owner=self._person)
        wanted = self.given.copy()
        if ACTIVE_WORD in wanted.getlist(STATE):
            words = [*wanted.getlist(STATE), *(BuildState(state).word for state in sorted(ACTIVE))]
            wanted.setlist(STATE, [word for word in words if word != ACTIVE_WORD])
        self._request._request.GET = wanted  # type: ignore[assignment]  # the stubs expect a class of their own
        return FilterBackend().filter_queryset(self._request, rows, ModuleBuildViewSet)

    def address(self, **changes: str | None) -> str:
        """Return the URL of this list with other values of some filters; None removes a filter."""
        changed = self.given.copy()
        for name, value in changes.items():
            changed.pop(name, None)
            if value is not None:
                changed[name] = value
        return f"{self.path}?{changed.urlencode()}" if changed else self.path

    def choices(self, states: Iterable[str]) -> list[Choice]:
        """Return links to the builds of each state, and to all."""
        chosen = self.given.getlist(STATE)
        links = [Choice("all", self.address(state=None, before=None), not chosen)]
        links += [Choice(word, self.address(state=word, before=None), [word] == chosen) for word in states]
        if self._person:
            links.append(
                Choice("mine", self.address(mine=None if self.mine else "1", before=None), self.mine)
            )
        return links

    def chips(self) -> list[Choice]:
        """Return a link that removes a filter, for each filter except the state."""
        return [
            Choice(f"{name}: {', '.join(values)[:80]}", self.address(**{name: None, BEFORE: None}))
            for name, values in self.given.lists()
            if name not in (BEFORE, MINE, STATE)
        ]


def read(request: HttpRequest, filters: Collection[str] = FILTERS) -> Query:
    """Return the parameters of a request for a list.

    Args:
        request: The browser's request.
        filters: The filters that this list supports.

    Raises:
        InvalidInput: A filter does not exist, or a page number is invalid.
    """
    wrapped = Request(request)
    parameters.check_encoding(wrapped)
    sent: Mapping[str, object] = request.GET
    parameters.check_known(sorted(sent.keys() - filters - {BEFORE, MINE}), [*filters, BEFORE, MINE])
    before = _number(request.GET.get(BEFORE))
    given = parameters.given(request.GET, ModuleBuildFilterSet.repeatable())
    request.GET = given  # type: ignore[assignment]  # the stubs expect a class of their own
    return Query(wrapped, before)


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if (number := whole_number(text)) is None:
        raise InvalidInput("The value of the parameter 'before' is not valid.", hint="Write a whole number.")
    return number
