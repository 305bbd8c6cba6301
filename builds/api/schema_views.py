"""The OpenAPI document, for programs at ``schema/`` and for people at ``docs/``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.template.loader import render_to_string
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from builds.api import urls_of
from builds.api.renderers import JSONRenderer
from builds.api.schema import document
from builds.api.views.base import ApiViewSet

#: Swagger UI writes styles into its page, and draws with images from it
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class SchemaViewSet(ApiViewSet):
    """The OpenAPI document of this version of the API."""

    def list(self, request: Request, **kwargs: Any) -> Response:
        return Response(document(request.version))


class DocsRenderer(BaseRenderer):
    """The page in which people read the document and try operations."""

    media_type = "text/html"
    format = "html"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        if renderer_context and not renderer_context["response"].exception:
            renderer_context["response"]["Content-Security-Policy"] = POLICY
            return render_to_string("web/docs.html", data)
        return render_to_string("web/error.html", {"failure": data})


class DocsViewSet(ApiViewSet):
    """The same for people."""

    renderer_classes = [JSONRenderer, DocsRenderer]

    def list(self, request: Request, **kwargs: Any) -> Response:
        return Response({"schema": f"{urls_of.api(request)}schema/"})
