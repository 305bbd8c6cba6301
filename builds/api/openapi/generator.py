"""Generate the OpenAPI document.

drf-spectacular finds the operations, and the views describe them (``ApiViewSet.operations``).
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc

from builds.api import pagination, parameters
from builds.api.authentication import SAFE, security_schemes
from builds.api.errors import MEANINGS
from builds.api.openapi import pages
from builds.api.openapi.examples import EXAMPLES
from builds.api.openapi.operations import ID, JSON, Schema, bodies, examples_of, schema_of, shape_schemas
from builds.api.serializers import StrictSerializer
from builds.shapes import Error


class ViewSchema(AutoSchema):
    """Describe the operations of an ``ApiViewSet`` (DRF's setting ``DEFAULT_SCHEMA_CLASS``)."""

    view: Any

    def get_operation(self, path: str, regex: str, prefix: str, method: str, registry: Any) -> Schema:
        """Return the description of one operation."""
        view = self.view
        text = get_doc(getattr(view, view.action))
        described: Schema = view.operations[view.action].describe(path, method, text)
        described |= {"tags": [view.tag], "parameters": self._parameters(path, method)}
        serializer = view.get_serializer_class() if method in ("POST", "PATCH") else None
        if serializer and issubclass(serializer, StrictSerializer):
            described["requestBody"] = {"content": bodies(serializer)}
        if not settings.MBS.NO_AUTH and (view.private or method not in SAFE):
            described["security"] = [{name: []} for name in security_schemes()]
        return described

    def _parameters(self, path: str, method: str) -> list[Schema]:
        view = self.view
        backends = view.filter_backends if view.action == "list" else ()
        found = [each for backend in backends for each in backend().get_schema_operation_parameters(view)]
        if method in SAFE:
            described = {**parameters.DESCRIBED, **pagination.PARAMETERS}
            known = described.keys() & {parameters.STRICT, *view.known_parameters()}
            found += [{"name": name, "in": "query", **described[name]} for name in known]
        if "{id}" in path:
            found.append({**ID, "description": "Id of the item"})
        return sorted(found, key=lambda each: each["name"])


def endpoints(endpoints: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the addresses as documented: lists end with a slash, other addresses do not."""
    found = []
    for path, regex, method, callback in endpoints:
        path = path.rstrip("/").replace("{pk}", "{id}")
        slash = "/" if {"list", "create"} & {*callback.actions.values()} and "{id}" not in path else ""
        found.append((path + slash, regex, method, callback))
    return found


def complete(result: Schema, **kwargs: Any) -> Schema:
    """Return the document with its components, and with the addresses outside of the API."""
    error = {"schema": schema_of(Error)}
    shown = {404: examples_of(EXAMPLES[Error])}
    errors = {
        str(status): {"description": text, "content": {JSON: error | shown.get(status, {})}}
        for status, text in sorted(MEANINGS.items())
    }
    components = {"schemas": shape_schemas(), "responses": errors, "securitySchemes": security_schemes()}
    return {**result, "paths": result["paths"] | pages.paths(), "components": components}


#: drf-spectacular loads its extensions on first use, and fails if two threads do so at once.
_making = threading.Lock()


def document(version: str) -> Schema:
    """Return the OpenAPI document of an API version, for the configured login method."""
    with _making:
        return _document(version, settings.MBS.NO_AUTH, settings.MBS.AUTH_METHOD)


@lru_cache(maxsize=8)
def _document(version: str, *configured: object) -> Schema:
    made: Schema = SchemaGenerator(api_version=version).get_schema(public=True)
    return made
