"""Answers where no view of the API serves: errors of Django itself, as pages or as JSON."""

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
from mbs.errors import Forbidden, NotFound

READING = ("GET", "HEAD")
_SLASHES = re.compile("/{2,}")


class ErrorPageRenderer(BaseRenderer):
    """An error as a page for people."""

    media_type = "text/html"
    format = "html"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        return render_to_string("web/error.html", {"failure": data})


class FailureView(APIView):
    """Answers with one error, where no other view serves."""

    renderer_classes = [JSONRenderer, ErrorPageRenderer]
    versioning_class = None
    authentication_classes = []
    schema = None
    error: Exception | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise self.error or sys.exc_info()[1] or NotFound("There is nothing at this address.")


def failure(error: Exception | None = None) -> Callable[..., HttpResponseBase]:
    """A handler of Django's (``handler404`` and so on) that answers as the API does.

    Args:
        error: To answer with; None: the one that is being handled.
    """

    def handler(request: HttpRequest, exception: Exception | None = None, **kwargs: Any) -> HttpResponseBase:
        return FailureView.as_view(error=error or exception)(request)

    return handler


class _SamePermanently(HttpResponsePermanentRedirect):
    """A redirect after which clients send the same method and body (RFC 9110, section 15.4.9)."""

    status_code = 308


def nothing_here(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """The handler of addresses that lead nowhere.

    An address of the API with which only doubled slashes are wrong is redirected, as MBS 3.9.2 does.
    """
    below_api = request.path_info.lstrip("/").startswith(ROOT.strip("/"))
    if below_api and "//" in request.path and is_valid_path(_SLASHES.sub("/", request.path_info)):
        query = request.META.get("QUERY_STRING", "")
        merged = escape_uri_path(_SLASHES.sub("/", request.path))
        return _SamePermanently(f"{merged}?{query}" if query else merged)
    where = NotFound(f"There is nothing at the address {request.path[:200]}.")
    return failure(where)(request)


def foreign_form(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """What a form that this service did not make is answered; the setting CSRF_FAILURE_VIEW names it."""
    return failure(
        Forbidden(
            f"The form was not accepted: {reason}",
            code="foreign_form",
            hint="Load the page again and send its form; programs use the API.",
        )
    )(request)


def reading_only(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """For pages that can only be read: other methods are answered as the API answers them."""

    @csrf_exempt
    @wraps(view)
    def serve(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        if request.method in READING:
            return view(request, **kwargs)
        response = failure(method_not_allowed(request.method or "", request.path, READING))(request)
        response["Allow"] = ", ".join(READING)
        return response

    return serve
