"""Serve the pages of a module and of one of its streams."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from builds.api.views.service import RootViewSet
from builds.models import ModuleBuild
from builds.selectors import streams as selectors
from builds.web import filtering
from builds.web.pages import CHOICES, REFRESH_LIST, common, listing, page
from builds.web.plots import plot
from builds.web.time_format import moment
from mbs.errors import NotFound

_FILTERS = filtering.FILTERS - {"name", "stream", "nsvc", "match"}
_root = RootViewSet.as_view({"get": "list"})


def _answer(request: HttpRequest, version: str, **_: str) -> HttpResponse:
    return _root(request, version=version)


@page(_answer)
def module(request: HttpRequest, name: str) -> HttpResponse:
    """Show the streams of a module."""
    found = selectors.names_of(name)
    if not found:
        raise NotFound(
            f"There is no build of a module {name[:100]}.", hint="Search for the beginning of its name."
        )
    return render(request, "web/module.html", common() | {"name": name, "streams": found})


@page(_answer)
def stream(request: HttpRequest, name: str, stream: str) -> HttpResponse:
    """Show one stream: its newest builds, their durations and failures, and the modules built against it."""
    query = filtering.read(request, _FILTERS)
    builds = listing(query, query.filter(selectors.builds_of(name, stream)))
    found, now = selectors.history(name, stream), timezone.now()
    if not builds["entries"] and not selectors.builds_of(name, stream).exists():
        raise NotFound(
            f"There is no build of {name[:100]}:{stream[:100]}.", hint="Search for the beginning of its name."
        )
    return render(
        request,
        "web/stream.html",
        {
            **common(REFRESH_LIST),
            **builds,
            "name": name,
            "stream": stream,
            "query": query,
            "choices": query.choices(CHOICES),
            "filters": query.chips(),
            "ready": found.ready,
            "ready_since": moment(_ended(found.ready), now),
            "failed": found.failed,
            "failed_since": moment(_ended(found.failed), now),
            "plot": plot(found.ended),
            "requirers": found.requirers,
        },
    )


def _ended(build: ModuleBuild | None) -> datetime | None:
    return (build.time_completed or build.time_modified) if build else None
