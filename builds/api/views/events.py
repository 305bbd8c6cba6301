"""Events of a module build where no stream can be served."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from builds.api.events.cursor import Cursor
from builds.api.events.feed import Feed, read
from builds.api.views.base import ApiViewSet
from mbs.errors import NotFound

#: milliseconds after which a client asks again
RETRY = b"retry: 5000\n\n"


class EventViewSet(ApiViewSet):
    """Server-sent events: states, batches, components and log lines of a module build.

    Under ASGI the answer is a stream (``builds.api.events.asgi``). A worker of a WSGI server must not be kept
    by a watcher: it tells what there is, and when to come back for the rest.
    """

    def list(self, request: Request, pk: str, **kwargs: Any) -> HttpResponse:
        cursor = Cursor.parse(request.headers.get("Last-Event-ID", ""))
        feed = Feed(int(pk))
        found, progress = read([feed], {})
        if feed.build_id not in progress:
            raise NotFound(f"There is no module build {pk}.", code="no_such_module_build")
        feed.grow(found.get(feed.build_id, ()), progress[feed.build_id])
        text = feed.tell(cursor, 0)
        if not text and feed.over:
            return HttpResponse(status=204)
        if feed.over:
            text += b"event: end\nid: %b\ndata: {}\n\n" % str(cursor).encode()
        return HttpResponse(
            RETRY + text,
            content_type="text/event-stream; charset=utf-8",
            headers={"Cache-Control": "no-store"},
        )
