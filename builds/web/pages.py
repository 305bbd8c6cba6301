"""Pages for people: the latest builds, and one build from its submission to its end.

Programs that request the same addresses get JSON. The pages work without scripts; with them, they refresh
themselves by loading the same page again (``static/web/live.js``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from builds.api import actions, links
from builds.api.renderers import wants_page
from builds.api.views.modules import ModuleBuildViewSet
from builds.api.views.service import RootViewSet
from builds.models import ModuleBuild
from builds.selectors import pages
from builds.selectors.forecasts import TOO_MANY, Forecast
from builds.web import components, filtering, graph, people
from builds.web.errors import failure
from builds.web.forecasts import Outlook, of_builds
from builds.web.outcome import failure_of, outcome_of
from builds.web.time_format import Moment, moment
from builds.web.timeline import Axis, steps, took
from mbs.errors import MBSError, NotFound
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
            patch_vary_headers(response, ["Accept"])
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
    outlook: Outlook | None


@page(RootViewSet.as_view({"get": "list"}))
def front(request: HttpRequest) -> HttpResponse:
    """Show the latest builds, limited by ``?before=<id>``, ``?mine=1`` and the filters of the API."""
    query = filtering.read(request)
    return render(
        request,
        "web/front.html",
        {
            **common(REFRESH_LIST),
            **listing(query, query.filter(ModuleBuild.objects.all())),
            "choices": query.choices(CHOICES),
            "filters": query.chips(),
            "query": query,
        },
    )


def listing(query: filtering.Query, rows: QuerySet[ModuleBuild]) -> dict[str, Any]:
    """Return a page of a list of builds, newest first, for the template ``web/list.html``."""
    now = timezone.now()
    lines = pages.latest(rows, LINES + 1, before=query.before)
    expected = of_builds([line.build for line in lines[:LINES]], now)
    last = lines[LINES - 1].build.pk if len(lines) > LINES else None
    return {
        "entries": [_entry(line, now, expected) for line in lines[:LINES]],
        "actions": actions.ACTIONS.values(),
        "too_many": TOO_MANY if expected.crowded else "",
        "latest": query.address(before=None) if query.before else None,
        "older": query.address(before=str(last)) if last else None,
    }


@page(ModuleBuildViewSet.as_view({"get": "retrieve"}))
def build(request: HttpRequest, pk: str) -> HttpResponse:
    """Show one build: its states and components on a time axis, its waits and its log messages.

    ``?components=`` shows one group of its components.
    """
    details = pages.build_details(int(pk))
    if details is None:
        raise NotFound(f"There is no module build {pk}.", hint="Look it up among the latest builds.")
    row, now = details.build, timezone.now()
    api = links.root(VERSION)
    forecast = of_builds([row], now)
    expected = forecast.builds.get(row.pk)
    axis = Axis.of(row, details.components, now, expected.ready if expected else None)
    shown = components.shown(details, request.GET.get("components", ""))
    return render(
        request,
        "web/build.html",
        {
            **common(REFRESH_BUILD),
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
            "groups": list(components.groups(details, axis, shown, now, forecast)),
            "outlook": Outlook.of_build(expected, now),
            "too_many": TOO_MANY if forecast.crowded else "",
            "shown": components.choices(details, shown),
            "drawing": graph.draw(row, details.components, now),
            "waits": [(wait, moment(wait.created_at, now)) for wait in details.waits],
            "messages": [(message, moment(message.time_created, now)) for message in details.messages],
            "address": f"{api}module-builds/{row.pk}",
            "events": f"{api}module-builds/{row.pk}/events",
            "admin_address": _admin_address(request, row),
            "actions": actions.possible(row),
            "watch": f"mbs watch {row.pk} --server {links.site(request)}{links.prefix()}",
        },
    )


def common(seconds: int = 0) -> dict[str, Any]:
    """Return the values that many pages show; ``seconds`` lie between two refreshes of a page."""
    return {"seconds": seconds, "api": links.root(VERSION)}


def _admin_address(request: HttpRequest, row: ModuleBuild) -> str:
    """Return the address of a build in the admin for those who may see it there, otherwise nothing."""
    if people.account(request) is None or not admin.site.has_permission(request):
        return ""
    if not request.user.has_perm("builds.view_modulebuild"):
        return ""
    return reverse("admin:builds_modulebuild_change", args=[row.pk])


def _entry(line: pages.ListedBuild, now: Any, expected: Forecast) -> Entry:
    row = line.build
    active = row.state in ACTIVE
    end = now if active else row.time_completed or row.time_modified
    return Entry(
        line,
        submitted=Moment(row.time_submitted, now),
        took=took(end - row.time_submitted),
        active=active,
        outlook=Outlook.of_build(expected.builds.get(row.pk), now),
    )
