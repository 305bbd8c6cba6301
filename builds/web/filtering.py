"""The filters in the address of a list of builds: those of the API, and some that only pages have."""

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
from builds.web import people
from mbs.errors import InvalidInput, NotAuthenticated
from mbs.states import ACTIVE, BuildState

#: Filters of the API for which the database reads the whole table, or the build system is asked.
NOT_HERE = frozenset({"modulemd", "state_reason", "srpms", "rpm"})
FILTERS = frozenset(ModuleBuildFilterSet.names()) - NOT_HERE
BEFORE, MINE, STATE, OWNER = "before", "mine", "state", "owner"
#: Stands for all states of builds on their way.
ACTIVE_WORD = "active"


@dataclass(frozen=True)
class Choice:
    """A link that changes one filter.

    Attributes:
        text: Of the link.
        address: The list with the filter changed.
        current: Whether the list is filtered so already.
    """

    text: str
    address: str
    current: bool = False


class Query:
    """The parameters of a request for a list, checked.

    Attributes:
        before: Only builds with a smaller number are shown; None: the newest ones.
        given: The filters of the address.
    """

    def __init__(self, request: Request, before: int | None) -> None:
        self._request = request
        self.path: str = request.path
        self.given: QueryDict = request.query_params
        self.before = before
        self._person = people.shown(request._request)

    @property
    def mine(self) -> bool:
        """Whether only builds of the user who asks are shown."""
        return MINE in self.given

    @property
    def filtered(self) -> bool:
        """Whether fewer than all builds are shown."""
        return bool(self.given)

    def filter(self, rows: QuerySet[ModuleBuild]) -> QuerySet[ModuleBuild]:
        """Return the builds that fit all filters.

        Raises:
            InvalidInput: The value of a filter is wrong.
            NotAuthenticated: The user's own builds are asked for, and nobody is logged in.
        """
        if self.mine:
            if not self._person:
                raise NotAuthenticated(
                    "Your builds can be shown when you are logged in.",
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
        """Return the address of the list with filters set, or with those left out that are None."""
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
        """Return a link for each filter but the state, which takes it away."""
        return [
            Choice(f"{name}: {', '.join(values)[:80]}", self.address(**{name: None, BEFORE: None}))
            for name, values in self.given.lists()
            if name not in (BEFORE, MINE, STATE)
        ]


def read(request: HttpRequest, known: Collection[str] = FILTERS) -> Query:
    """Return the parameters of a request for a list.

    Args:
        request: Of a browser.
        known: The filters that this list has.

    Raises:
        InvalidInput: There is no such filter, or the number of a page is none.
    """
    wrapped = Request(request)
    parameters.check_encoding(wrapped)
    sent: Mapping[str, object] = request.GET
    parameters.check_known(sorted(sent.keys() - known - {BEFORE, MINE}), [*known, BEFORE, MINE])
    before = _number(request.GET.get(BEFORE))
    given = parameters.given(request.GET, ModuleBuildFilterSet.repeatable())
    request.GET = given  # type: ignore[assignment]  # the stubs expect a class of their own
    return Query(wrapped, before)


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput("The value of the parameter 'before' is not valid.", hint="Write a whole number.")
    return int(text)
