"""Generate the OpenAPI document.

drf-spectacular finds the operations, and ``builds.api.openapi.operations`` describes them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from drf_spectacular.drainage import warn
from drf_spectacular.extensions import OpenApiFilterExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiRequest, OpenApiResponse

from builds.api import filters, filtersets
from builds.api.authentication import SAFE
from builds.api.openapi import examples, pages, schemas
from builds.api.openapi.operations import JSON, MEANINGS, OPERATIONS, Operation
from builds.api.pagination import PER_PAGE
from builds.api.parameters import STRICT
from builds.api.serializers import StrictSerializer
from mbs.states import BUILD_STATES, COMPONENT_STATES

if TYPE_CHECKING:
    from builds.api.views.base import ApiViewSet

Parameter = dict[str, Any]

#: A text parameter. An empty value counts as absent; blanks alone and NUL are refused.
TEXT = {"type": "string", "pattern": "^[^\\u0000]*$"}
YES_OR_NO = {"type": "string", "enum": ["true", "false", "1", "0", ""]}
#: A number parameter that accepts any text: text that is not a number means the default.
_LENIENT_NUMBER = {"type": ["integer", "string"]}
_LENIENT_FLAG = {"type": "string", "examples": ["true"]}
PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "verbose": ("Show all keys of each build: true or 1. It overrides short.", _LENIENT_FLAG),
    "short": ("Show few keys of each build: true or 1.", _LENIENT_FLAG),
    "page": (
        "Page number, from 1. A page past the end is empty. Any other text means page 1.",
        _LENIENT_NUMBER | {"default": 1},
    ),
    "per_page": (
        "Items on a page. Large values are reduced, see meta.per_page. With 0, there are no items.",
        _LENIENT_NUMBER | {"default": PER_PAGE},
    ),
    "all": ("Include the components that did not change: true or 1.", _LENIENT_FLAG),
    "with": ("Number of the module build to compare with.", {"type": "integer", "minimum": 1}),
    STRICT: (
        "Refuse unknown parameters (400) instead of listing them in the header Warning: true or 1.",
        _LENIENT_FLAG,
    ),
}
#: Tag -> the views of its operations. All other operations have the tag "service".
TAGS = {
    "module builds": ("module-build", "plan", "event", "final-modulemd", "import-module"),
    "component builds": ("component-build",),
    "API tokens": ("token",),
    "subscriptions": ("subscription",),
}
SERVICE = "service"
_TIME = r"^$|^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]00(:?00)?)?$"


def _or_empty(shape: dict[str, Any]) -> dict[str, Any]:
    """Return the shape, or an empty text, which counts as absent."""
    return {"anyOf": [shape, {"type": "string", "maxLength": 0}]}


_FILTERS: dict[type[Any], dict[str, Any]] = {
    filtersets.ModuleStatesFilter: {"enum": [*BUILD_STATES, *map(str, BUILD_STATES.values()), ""]},
    filtersets.ComponentStatesFilter: {"enum": [*COMPONENT_STATES, *map(str, COMPONENT_STATES.values()), ""]},
    filters.AnyOfFilter: TEXT,
    filters.IntegerFilter: _or_empty({"type": "integer", "minimum": 0, "maximum": filters.MAX_ID}),
    filters.FloatFilter: _or_empty({"type": "number"}),
    filters.FlagFilter: YES_OR_NO,
    filters.JSONFilter: {"type": "string", "description": "A JSON list"},
    filters.AfterFilter: {"type": "string", "pattern": _TIME},
    filters.BeforeFilter: {"type": "string", "pattern": _TIME},
    filtersets.BaseModuleFloatFilter: _or_empty({"type": "number"}),
}


class Schema(AutoSchema):
    """Describe one operation (DRF's setting ``DEFAULT_SCHEMA_CLASS``)."""

    view: ApiViewSet  # type: ignore[override]  # all views of this service are of this class

    @property
    def operation(self) -> Operation:
        """The description of the operation."""
        key = f"{self.view.basename or 'root'}.{self.view.action}"
        if key not in OPERATIONS:
            warn(f"the operation {key} is not described in builds.api.openapi.operations")
        return OPERATIONS.get(key, Operation(key.replace(".", "_"), key))

    def get_operation_id(self) -> str:
        """Return the operation id."""
        return self.operation.id

    def get_summary(self) -> str:
        """Return the summary."""
        return self.operation.summary

    def get_tags(self) -> list[str]:
        """Return the one tag of the operation."""
        return [next((tag for tag, names in TAGS.items() if self.view.basename in names), SERVICE)]

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Return the security schemes that the operation accepts, if it needs a login."""
        private = getattr(self.view, "private", False)
        needed = not settings.MBS.NO_AUTH and (private or self.method not in SAFE)
        return [{name: []} for name in security_schemes()] if needed else []

    def get_override_parameters(self) -> list[Any]:
        """Return the parameters that are not filters."""
        known = [*self.operation.parameters]
        if getattr(self.view, "pagination_class", None) and self.view.action in ("list", "messages"):
            known += ["page", "per_page"]
        if self.method in SAFE:
            known.append(STRICT)
        found = [
            OpenApiParameter(name, PARAMETERS[name][1], description=PARAMETERS[name][0]) for name in known
        ]
        if "{id}" in self.path:
            number = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}
            found.append(OpenApiParameter("id", number, OpenApiParameter.PATH, description="Id of the item"))
        return found

    def _get_pagination_parameters(self) -> list[Parameter]:
        return []

    def get_filter_backends(self) -> list[Any]:
        """Return the filter backends of a list."""
        return [*self.view.filter_backends] if self.view.action == "list" else []

    def get_request_serializer(self) -> Any:
        """Return the request bodies by media type."""
        serializer = self.view.get_serializer_class()
        bodies = schemas.body(serializer) if issubclass(serializer, StrictSerializer) else {}
        return {
            media_type: OpenApiRequest(
                shape, examples=_examples(self.operation.bodies if media_type == JSON else {})
            )
            for media_type, shape in bodies.items()
        }

    def get_response_serializers(self) -> Any:
        """Return the successful answers by status and media type."""
        operation = self.operation
        shape = operation.answer.get(self.path.split("/")[2], operation.answer)
        answers: dict[Any, Any] = {
            (operation.status, operation.media_type): OpenApiResponse(
                shape, operation.summary, _examples(operation.examples)
            )
        }
        for status, meaning in operation.empty.items():
            answers[status] = OpenApiResponse(None, meaning)
        return answers

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Return False, since the answers of lists are described as they are."""
        return False


def _examples(values: Mapping[str, Any]) -> list[OpenApiExample]:
    return [OpenApiExample(name, value) for name, value in values.items()]


class FilterParameters(OpenApiFilterExtension):
    """Adds the parameters of a view's filters."""

    target_class = "builds.api.filters.FilterBackend"
    priority = 1

    def get_schema_operation_parameters(self, auto_schema: AutoSchema, *args: Any, **kwargs: Any) -> Any:
        """Return the parameters."""
        known = self.target.get_filterset_class(auto_schema.view).base_filters
        return [_parameter(name, filter_) for name, filter_ in known.items()]


def _parameter(name: str, filter_: Any) -> Parameter:
    shape = next((shape for cls, shape in _FILTERS.items() if isinstance(filter_, cls)), TEXT)
    if isinstance(filter_, filters.AnyOfFilter):
        shape = {"type": "array", "items": shape}
    return {"name": name, "in": "query", "description": filter_.extra["help_text"], "schema": shape}


def endpoints(endpoints: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the addresses as documented: lists end with a slash, other addresses do not."""
    found = []
    for path, regex, method, callback in endpoints:
        path = path.rstrip("/").replace("{pk}", "{id}")
        slash = "/" if {"list", "create"} & {*callback.actions.values()} and "{id}" not in path else ""
        found.append((path + slash, regex, method, callback))
    return found


def complete(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the components of the document, and the possible errors to each operation."""
    result["servers"] = [{"url": "/"}]
    result["tags"] = [{"name": name} for name in (*TAGS, SERVICE)]
    result["components"] = {
        "schemas": schemas.components(),
        "responses": {str(status): _error(status) for status in MEANINGS},
        "securitySchemes": security_schemes(),
    }
    known = {operation.id: operation for operation in OPERATIONS.values()}
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            for status in sorted(known[operation["operationId"]].errors(path, method)):
                operation["responses"][str(status)] = {"$ref": f"#/components/responses/{status}"}
    result["paths"] |= deepcopy(pages.PATHS)
    return result


def _error(status: int) -> dict[str, Any]:
    """Return the description of the errors with an HTTP status."""
    content: dict[str, Any] = {"schema": schemas.ref("Error")}
    if status == examples.ERROR["status"]:
        content["examples"] = {"error": {"value": examples.ERROR}}
    return {"description": MEANINGS[status], "content": {JSON: content}}


def security_schemes() -> dict[str, dict[str, str]]:
    """Return the ways to log in: an API token, and the one in AUTH_METHOD.

    With NO_AUTH they are described too, but no operation requires them.
    """
    schemes = {"token": {"type": "http", "scheme": "bearer", "description": "An API token"}}
    if settings.MBS.AUTH_METHOD == "kerberos":
        return schemes | {"kerberos": {"type": "http", "scheme": "negotiate"}}
    return schemes | {
        "oidc": {"type": "http", "scheme": "bearer", "description": "A token of the OpenID provider"}
    }


def document(version: str) -> dict[str, Any]:
    """Return the OpenAPI document of an API version, for the configured login method."""
    options = settings.MBS
    with _making:
        return _document(version, options.NO_AUTH, options.AUTH_METHOD)


#: drf-spectacular loads its extensions on first use, and fails if two threads do so at once.
_making = threading.Lock()


@lru_cache(maxsize=8)
def _document(version: str, *configured: object) -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator(api_version=version).get_schema(public=True)
    return made
