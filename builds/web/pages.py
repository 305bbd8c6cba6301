"""Pages for people: the latest builds, and one build from its submission to its end.

Programs that request the same addresses get JSON. The pages work without scripts; with them, they refresh
themselves by loading the same page again (``static/web/live.js``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import groupby
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from builds.api import links
from builds.api.renderers import wants_page
from builds.api.views.modules import ModuleBuildViewSet
from builds.api.views.service import RootViewSet
from builds.models import ComponentBuild, ModuleBuild
from builds.selectors import pages
from builds.services.build_system import build_system
from builds.web.errors import failure
from builds.web.outcome import failure_of, outcome_of
from builds.web.time_format import Moment, moment
from builds.web.timeline import Axis, Bar, state_word, steps, took
from mbs.errors import InvalidInput, MBSError, NotFound
from mbs.states import ACTIVE, BUILD_STATES, BuildState

LINES = 25
#: Seconds between two refreshes.
REFRESH_LIST, REFRESH_BUILD = 5, 3
#: Value of the parameter ``state`` -> the states of the builds in the list.
CHOICES: Mapping[str, Iterable[int]] = {"active": ACTIVE} | {
    word: (number,) for word, number in BUILD_STATES.items()
}
#: Version of the API that pages link to.
VERSION = "2"

View = Callable[..., HttpResponseBase]


def page(answer: View) -> Callable[[Callable[..., HttpResponse]], View]:
    """Decorate a view that returns a page for browsers.

    Args:
        answer: The view of the API that serves programs at the same address.
    """

    def decorate(view: Callable[..., HttpResponse]) -> View:
        @csrf_exempt
        @wraps(view)
        def serve(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            reading = request.method in ("GET", "HEAD")
            if not reading or not wants_page(request.META.get("HTTP_ACCEPT", "")):
                return answer(request, version="2", **kwargs)
            try:
                response = view(request, **kwargs)
            except MBSError as error:
                return failure(error)(request)
            response["Cache-Control"] = "no-cache"
            response["Vary"] = "Accept"
            return response

        return serve

    return decorate


@dataclass(frozen=True)
class Entry:
    """A row in the list of builds."""

    line: pages.ListedBuild
    submitted: Moment
    took: str
    active: bool


@page(RootViewSet.as_view({"get": "list"}))
def front(request: HttpRequest) -> HttpResponse:
    """Show the latest builds, optionally limited by ``?state=``, ``?owner=`` and ``?before=<id>``."""
    now = timezone.now()
    state, owner = (request.GET.get(name, "") for name in ("state", "owner"))
    if state and state not in CHOICES:
        raise InvalidInput(f"There is no state {state[:40]!r}.", hint=f"States are {', '.join(CHOICES)}.")
    lines = pages.latest(
        LINES + 1, states=CHOICES.get(state, ()), owner=owner.replace("\0", ""), before=_before(request)
    )
    older = request.GET.copy()
    if len(lines) > LINES:
        older["before"] = str(lines[LINES - 1].build.pk)
    return render(
        request,
        "web/front.html",
        {
            **_common_context(REFRESH_LIST),
            "entries": [_entry(line, now) for line in lines[:LINES]],
            "choices": list(CHOICES),
            "state": state,
            "owner": owner,
            "before": request.GET.get("before"),
            "older": older.urlencode() if len(lines) > LINES else None,
        },
    )


@dataclass(frozen=True)
class Component:
    """A row in the table of components."""

    row: ComponentBuild
    state: str
    bar: Bar | None


@dataclass(frozen=True)
class Batch:
    """The components of a batch. ``name`` is empty if they build in the order of ``buildafter``."""

    name: str
    components: Sequence[Component]


@page(ModuleBuildViewSet.as_view({"get": "retrieve"}))
def build(request: HttpRequest, pk: str) -> HttpResponse:
    """Show one build: its states and components on a time axis, its waits and its log messages."""
    details = pages.build_details(int(pk))
    if details is None:
        raise NotFound(f"There is no module build {pk}.", hint="Look it up among the latest builds.")
    row, now = details.build, timezone.now()
    api = links.root(VERSION)
    axis = Axis.of(row, details.components, now)
    return render(
        request,
        "web/build.html",
        {
            **_common_context(REFRESH_BUILD),
            "build": row,
            "active": row.state in ACTIVE,
            "failure": failure_of(row) if row.state == BuildState.FAILED else None,
            "outcome": outcome_of(row),
            "siblings": details.siblings,
            "submitted": moment(row.time_submitted, now),
            "completed": moment(row.time_completed, now),
            "took": took(axis.end - axis.start),
            "marks": axis.marks(),
            "steps": [
                (step, moment(step.time, now)) for step in steps(details.traces, axis, row.shown_state)
            ],
            "batches": list(_batches(details, axis)),
            "waits": [(wait, moment(wait.created_at, now)) for wait in details.waits],
            "messages": [(message, moment(message.time_created, now)) for message in details.messages],
            "address": f"{api}module-builds/{row.pk}",
            "events": f"{api}module-builds/{row.pk}/events",
            "admin_address": _admin_address(request, row),
            "watch": f"mbs watch {row.pk} --server {links.site(request)}{links.prefix()}",
        },
    )


def _common_context(seconds: int) -> dict[str, Any]:
    """Return the template variables of all pages that refresh themselves."""
    simulated = build_system().capabilities.simulated
    return {"seconds": seconds, "simulated": simulated, "api": links.root(VERSION)}


def _admin_address(request: HttpRequest, row: ModuleBuild) -> str:
    """Return the address of a build in the admin if the user is logged in there and may see it, otherwise "".

    Without a plausible session cookie, the database is not queried.
    """
    session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    if not (session.isascii() and session.isalnum() and admin.site.has_permission(request)):
        return ""
    if not request.user.has_perm("builds.view_modulebuild"):
        return ""
    return reverse("admin:builds_modulebuild_change", args=[row.pk])


def _before(request: HttpRequest) -> int | None:
    text = request.GET.get("before")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput(
            "The value of the parameter 'before' is not valid.", hint="Write the id of a build."
        )
    return int(text)


def _entry(line: pages.ListedBuild, now: Any) -> Entry:
    row = line.build
    active = row.state in ACTIVE
    end = now if active else row.time_completed or row.time_modified
    return Entry(
        line,
        submitted=Moment(row.time_submitted, now),
        took=took(end - row.time_submitted),
        active=active,
    )


def _batches(details: pages.BuildDetails, axis: Axis) -> Iterator[Batch]:
    graph = details.build.graph
    for number, rows in groupby(details.components, key=lambda row: 0 if graph else row.batch):
        components = [Component(row, state_word(row), axis.component(row)) for row in rows]
        yield Batch(f"Batch {number}" if number else "", components)
