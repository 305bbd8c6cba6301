"""The events of a module build for clients that get no stream."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from builds.api.events.cursor import Cursor
from builds.api.events.feed import Feed, read
from builds.api.openapi.operations import SSE, Operation
from builds.api.views.base import ApiViewSet
from builds.shapes import Event
from mbs.errors import NotFound

#: Clients ask again after this many milliseconds.
RETRY = b"retry: 5000\n\n"


class EventViewSet(ApiViewSet):
    """Server-sent events: states, batches, components and log messages of a module build.

    Under ASGI the answer is a stream (``builds.api.events.asgi``). Under WSGI, which would block a worker for
    each client, the answer ends after the events so far, and tells the client when to ask again.
    """

    tag = "module builds"
    operations = {
        "list": Operation(
            "follow",
            Event,
            (429,),
            media_type=SSE,
            empty={204: "The build has ended and all events were sent: do not reconnect."},
        )
    }

    def list(self, request: Request, pk: str, **kwargs: Any) -> HttpResponse:
        """Return the server-sent events of a module build that the client has not seen."""
        cursor = Cursor.parse(request.headers.get("Last-Event-ID", ""))
        feed = Feed(int(pk))
        found, progress = read([feed], {})
        if feed.build_id not in progress:
            raise NotFound(f"There is no module build {pk}.", code="no_such_module_build")
        feed.update(found.get(feed.build_id, ()), progress[feed.build_id])
        text = feed.render(cursor, 0)
        if not text and feed.ended:
            return HttpResponse(status=204)
        if feed.ended:
            text += b"event: end\nid: %b\ndata: {}\n\n" % str(cursor).encode()
        return HttpResponse(
            RETRY + text,
            content_type="text/event-stream; charset=utf-8",
            headers={"Cache-Control": "no-store"},
        )
