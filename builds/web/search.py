"""Serve the page of search results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from builds.api import links
from builds.api.views.service import RootViewSet
from builds.selectors import search as selectors
from builds.selectors.search import Found, Hit
from builds.services import saved_searches
from builds.web import people
from builds.web.pages import common, page
from builds.web.time_format import Moment


@dataclass(frozen=True)
class Group:
    """Hits of one kind.

    Attributes:
        title: The heading.
        hits: The hits, each with the time at which its build was submitted.
        more: URL of the list of all hits; empty if there is no such list.
    """

    title: str
    hits: Sequence[tuple[Hit, Moment]]
    more: str = ""


@page(RootViewSet.as_view({"get": "list"}))
def search(request: HttpRequest) -> HttpResponse:
    """Show the results for ``?q=``; a build, a stream or a saved search redirects to its page."""
    text = request.GET.get("q", "").replace("\0", "").strip()[: selectors.MAX_LENGTH]
    if text.startswith(saved_searches.PREFIX):
        saved = saved_searches.find(people.shown(request), text.removeprefix(saved_searches.PREFIX))
        if saved is not None:
            return HttpResponseRedirect(f"{links.prefix()}/?{saved.query}")
    build = selectors.exact(text)
    if build is not None:
        return HttpResponseRedirect(reverse("build", args=[build.pk]))
    found = selectors.find(text) if text else Found()
    stream = _only(text, found)
    if stream is not None:
        return HttpResponseRedirect(
            f"{links.prefix()}/modules/{quote(stream.build.name, '')}/{quote(stream.build.stream, '')}"
        )
    groups: list[Group] = list(_groups(text, found))
    values: dict[str, Any] = {"searched": text, "groups": groups, "form": "name, name:stream, component, NVR"}
    return render(request, "web/search.html", common() | values)


def _only(text: str, found: Found) -> Hit | None:
    """Return the stream with exactly this name, if there are no other results."""
    others = found.components or found.nvrs or found.commits or found.owned
    same = [hit for hit in found.streams if hit.what == text or hit.build.name == text]
    return same[0] if len(same) == 1 and (":" in text or not others) and len(found.streams) == 1 else None


def _groups(text: str, found: Found) -> Iterator[Group]:
    now = timezone.now()

    def group(title: str, hits: Sequence[Hit], **filters: str) -> Iterator[Group]:
        if hits:
            moments = [(hit, Moment(hit.build.time_submitted, now)) for hit in hits]
            yield Group(title, moments, f"{links.prefix()}/?{urlencode(filters)}" if filters else "")

    yield from group("Streams of modules", found.streams)
    exact = any(hit.what == text for hit in found.components)
    yield from group("Components", found.components, **({"component": text} if exact else {}))
    yield from group("NVRs", found.nvrs)
    yield from group("Commits", found.commits)
    yield from group("Owners", found.owned, owner=text)
