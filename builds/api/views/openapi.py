"""Views of the OpenAPI document: as JSON at ``schema/``, and as a page at ``docs/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from rest_framework.request import Request
from rest_framework.response import Response

from builds.api import links
from builds.api.openapi.generator import document
from builds.api.openapi.operations import Operation
from builds.api.renderers import JSONRenderer
from builds.api.views.base import ApiViewSet
from builds.shapes import DocsAddress
from builds.web.errors import ErrorPageRenderer

#: Swagger UI needs inline styles and images in data URLs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class SchemaViewSet(ApiViewSet):
    """The OpenAPI document of this version of the API."""

    operations = {"list": Operation("schema", dict[str, Any])}

    def list(self, request: Request, **kwargs: Any) -> Response:
        """Return this document."""
        servers = [{"url": f"{links.prefix()}/"}]
        return Response({**document(str(request.version)), "servers": servers})


class DocsRenderer(ErrorPageRenderer):
    """The page that shows the document and sends requests."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the page."""
        response = (renderer_context or {})["response"]
        if response.exception:
            return super().render(data, accepted_media_type, renderer_context)
        response["Content-Security-Policy"] = POLICY
        request = (renderer_context or {})["request"]
        context = {**data, "root": links.path(request), "groups": groups(request.version)}
        return render_to_string("web/docs.html", context)


class DocsViewSet(ApiViewSet):
    """The OpenAPI document as a page."""

    operations = {"list": Operation("docs", DocsAddress)}
    renderer_classes = [JSONRenderer, DocsRenderer]

    def list(self, request: Request, **kwargs: Any) -> Response:
        """Return the address of this document. Browsers get the document as a page."""
        return Response({"schema": f"{links.api(request)}schema/"})


@dataclass(frozen=True)
class Described:
    """An operation of the document, for people."""

    method: str
    path: str
    summary: str


@dataclass(frozen=True)
class Group:
    """Operations of one kind."""

    name: str
    operations: list[Described]


def groups(version: str) -> list[Group]:
    """Return the operations of a version of the API by their tags, in the order of the document."""
    described = document(version)
    found: dict[str, list[Described]] = {tag["name"]: [] for tag in described["tags"]}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            found[operation["tags"][0]].append(Described(method.upper(), path, operation["summary"]))
    return [Group(name, operations) for name, operations in found.items()]
