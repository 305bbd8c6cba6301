"""Answers where no view of the API serves: errors of Django itself, as pages or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.template.loader import render_to_string
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from builds.api.renderers import JSONRenderer
from mbs.errors import NotFound

#: of all pages: nothing from elsewhere, no script or style in the page itself, in nobody's frame
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


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
        if renderer_context:
            renderer_context["response"]["Content-Security-Policy"] = POLICY
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

    :param error: to answer with; None: the one that is being handled.
    """

    def handler(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return FailureView.as_view(error=error)(request)

    return handler
