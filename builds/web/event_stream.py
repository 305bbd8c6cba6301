"""The address of all events, ``/events``, where no stream can be served."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase

from builds.api.events import everything
from builds.web.errors import failure, safe_methods_only
from mbs.errors import InvalidInput


@safe_methods_only
def events(request: HttpRequest) -> HttpResponseBase:
    """Answer with what happened since the last event, and when to come back for more."""
    try:
        return everything.view(request)
    except InvalidInput as error:
        return failure(error)(request)
