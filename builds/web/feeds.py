"""Serve an Atom feed of ended builds at ``/feeds/builds.atom``: all, or those of an owner or a module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.syndication.views import Feed
from django.db.models import Q
from django.http import HttpRequest
from django.utils.feedgenerator import Atom1Feed

from builds.api import links
from builds.models import ModuleBuild
from builds.selectors.pages import LIST_COLUMNS
from builds.web.errors import safe_methods_only
from mbs.states import BuildState
from mbs.text import printable

#: Max builds in a feed.
_MOST = 50
_MAX_DESCRIPTION = 2000
_ENDED = Q(state__in=(BuildState.READY, BuildState.FAILED)) | Q(state=BuildState.DONE, scratch=True)


@dataclass(frozen=True)
class Wanted:
    """The filters of a feed; an empty text does not filter.

    Attributes:
        owner: Owner of the builds.
        name: Name of their module.
        stream: Stream of their module.
    """

    owner: str = ""
    name: str = ""
    stream: str = ""

    @property
    def query(self) -> dict[str, str]:
        """Return the filters that are set."""
        return {key: value for key, value in vars(self).items() if value}

    def __str__(self) -> str:
        module = ":".join(filter(None, [self.name, self.stream]))
        return " ".join(filter(None, [module, f"of {self.owner}" if self.owner else ""]))


class BuildFeed(Feed):  # type: ignore[type-arg]  # it takes none at run time
    """Builds that became ready or failed, the newest first."""

    feed_type = Atom1Feed

    def get_object(self, request: HttpRequest) -> Wanted:
        """Return the filters of the request."""
        texts = (request.GET.get(key, "")[:255].replace("\0", "") for key in ("owner", "name", "stream"))
        return Wanted(*texts)

    def title(self, wanted: Wanted) -> str:
        """Return the title of the feed."""
        return printable(f"Module builds {wanted}".strip())

    def link(self, wanted: Wanted) -> str:
        """Return the URL of the page that lists these builds."""
        return f"{links.prefix()}/" + (f"?{urlencode({'owner': wanted.owner})}" if wanted.owner else "")

    def feed_url(self, wanted: Wanted) -> str:
        """Return the URL of the feed."""
        query = urlencode(wanted.query)
        return f"{links.prefix()}/feeds/builds.atom" + (f"?{query}" if query else "")

    def subtitle(self, wanted: Wanted) -> str:
        """Return the description of the feed."""
        return "Builds that became ready or failed."

    def items(self, wanted: Wanted) -> Sequence[ModuleBuild]:
        """Return the newest builds that have ended."""
        rows = ModuleBuild.objects.filter(_ENDED, **wanted.query).only(*LIST_COLUMNS, "error_hint")
        return list(rows.order_by("-pk")[:_MOST])

    def item_title(self, item: ModuleBuild) -> str:
        """Return the name of the build and its state."""
        return printable(f"{item.nsvc} {item.state_name}")

    def item_description(self, item: ModuleBuild) -> str:
        """Return the reason of the state of the build."""
        parts = [f"Build {item.pk} of {item.owner} is {item.state_name}."]
        if item.state == BuildState.FAILED:
            parts += [item.state_reason or "", item.error_hint]
        return printable(" ".join(filter(None, parts))[:_MAX_DESCRIPTION])

    def item_link(self, item: ModuleBuild) -> str:
        """Return the page of the build."""
        return f"{links.prefix()}/builds/{item.pk}"

    def item_guid(self, item: ModuleBuild) -> str:
        """Return the id of the entry."""
        # A resumed build gets another entry when it ends again.
        return f"urn:mbs:build:{item.pk}:{item.state_name}:{self._end(item):%Y%m%dT%H%M%SZ}"

    def item_author_name(self, item: ModuleBuild) -> str:
        """Return the owner of the build."""
        return printable(item.owner)

    def item_categories(self, item: ModuleBuild) -> Sequence[str]:
        """Return the state and the stream, which feed readers can filter by."""
        return (item.state_name, printable(item.nsvc.ns))

    def item_pubdate(self, item: ModuleBuild) -> datetime:
        """Return when the build was submitted."""
        return item.time_submitted

    def item_updateddate(self, item: ModuleBuild) -> datetime:
        """Return when the build ended."""
        return self._end(item)

    def _end(self, item: ModuleBuild) -> datetime:
        return item.time_completed or item.time_modified


_feed: Any = BuildFeed()
#: The view.
builds = safe_methods_only(lambda request, **kwargs: _feed(request, **kwargs))
