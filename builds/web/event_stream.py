"""Answer ``/events`` under servers without streaming (WSGI)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase

from builds.api.events import everything
from builds.web.errors import failure, safe_methods_only
from mbs.errors import InvalidInput


@safe_methods_only
def events(request: HttpRequest) -> HttpResponseBase:
    """Return the events since ``Last-Event-ID``, and the time after which the client asks again."""
    try:
        return everything.view(request)
    except InvalidInput as error:
        return failure(error)(request)
