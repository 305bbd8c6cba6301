"""Answer errors outside the API's views, as pages or as JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase, HttpResponsePermanentRedirect
from django.template.loader import render_to_string
from django.urls import is_valid_path
from django.utils.encoding import escape_uri_path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from builds.api.errors import method_not_allowed
from builds.api.links import ROOT
from builds.api.renderers import JSONRenderer
from builds.api.serving.waiting import REFUSAL
from mbs.errors import Forbidden, NotFound

READING = ("GET", "HEAD")
#: Seconds after which a refused client may try again, unless the error says otherwise.
RETRY_AFTER = 10
#: Statuses of refusals that end by themselves.
_LATER = (429, 503)
_SLASHES = re.compile("/{2,}")


class ErrorPageRenderer(BaseRenderer):
    """Render an error as a page."""

    media_type = "text/html"
    format = "html"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the page."""
        request: Request | None = (renderer_context or {}).get("request")
        # Templates get Django's request: that of DRF asks its own authentication for the user.
        return render_to_string(
            "web/error.html", {"failure": data}, request=request._request if request else None
        )


class ErrorView(APIView):
    """Answer every request with one error."""

    renderer_classes = [JSONRenderer, ErrorPageRenderer]
    versioning_class = None
    authentication_classes = []
    schema = None
    error: Exception | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raise the error: the given one, the one being handled, or 404."""
        super().initial(request, *args, **kwargs)
        raise self.error or sys.exc_info()[1] or NotFound("There is no page at this address.")


def failure(error: Exception | None = None) -> Callable[..., HttpResponseBase]:
    """Return a handler for Django (``handler404`` and so on) that answers in the format of the API.

    Args:
        error: The error of the answer; None for the exception that is being handled.
    """

    def handler(request: HttpRequest, exception: Exception | None = None, **kwargs: Any) -> HttpResponseBase:
        return ErrorView.as_view(error=error or exception)(request)

    return handler


class _PermanentRedirect(HttpResponsePermanentRedirect):
    """A redirect after which clients repeat the method and body (RFC 9110, section 15.4.9)."""

    status_code = 308


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer 404, or redirect an API address that only has doubled slashes, as MBS 3.9.2 does."""
    below_api = request.path_info.lstrip("/").startswith(ROOT.strip("/"))
    if below_api and "//" in request.path and is_valid_path(_SLASHES.sub("/", request.path_info)):
        query = request.META.get("QUERY_STRING", "")
        merged = escape_uri_path(_SLASHES.sub("/", request.path))
        return _PermanentRedirect(f"{merged}?{query}" if query else merged)
    return failure(NotFound(f"There is no page at the address {request.path[:200]}."))(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """Answer a form without a valid CSRF token (setting ``CSRF_FAILURE_VIEW``)."""
    return failure(
        Forbidden(
            f"The form was not accepted: {reason}",
            code="foreign_form",
            hint="Reload the page and send its form again. Programs should use the API.",
        )
    )(request)


class RefusalMiddleware:
    """Answer a request that the web server refuses (``builds.api.serving``) with its error."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle a request."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: object, args: object, kwargs: object
    ) -> HttpResponseBase | None:
        """Return the error instead of calling the view."""
        refusal = request.META.get(REFUSAL)
        if refusal is None:
            return None
        response = failure(refusal)(request)
        if response.status_code in _LATER:
            response.headers.setdefault("Retry-After", str(RETRY_AFTER))
        return response


def safe_methods_only(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Decorate a view that only takes GET and HEAD. Other methods get the API's error 405."""

    @csrf_exempt
    @wraps(view)
    def serve(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        if request.method in READING:
            return view(request, **kwargs)
        response = failure(method_not_allowed(request.method or "", request.path, READING))(request)
        response["Allow"] = ", ".join(READING)
        return response

    return serve
