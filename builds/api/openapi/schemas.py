"""JSON Schema of responses and request bodies, derived from their types and serializers."""

from __future__ import annotations

from functools import cache
from inspect import isclass
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from rest_framework import serializers as drf
from typing_extensions import is_typeddict

from builds import shapes
from builds.api import serializers
from builds.shapes import comparison, failures, plans

Schema = dict[str, Any]

_NO_NUL: Schema = {"type": ["string", "null"], "pattern": "^[^\\u0000]*$"}
_TEXTS: Schema = {"type": ["array", "null"], "items": {"type": "string", "pattern": "^[^\\u0000]*$"}}
_FIELDS: dict[type[drf.Field[Any, Any, Any, Any]], Schema] = {
    serializers.IdentifierField: {"anyOf": [_NO_NUL, {"type": "integer"}]},
    serializers.TextField: _NO_NUL,
    serializers.StreamsField: {
        "type": ["object", "null"],
        "additionalProperties": {"type": "array", "items": {"type": "string"}},
    },
    serializers.RefsField: {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
    serializers.StructuredField: _TEXTS,
    serializers.FlagField: {
        "type": ["boolean", "null", "string", "integer"],
        "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|1|0)$",
        "minimum": 0,
        "maximum": 1,
    },
    serializers.WholeNumberField: {"type": ["integer", "null"]},
}


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def ref(name: str) -> Schema:
    """Return a reference to a shape of ``builds.shapes``."""
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(items: Schema, key: str = "items") -> Schema:
    """Return the schema of a page of a list."""
    properties = {key: {"type": "array", "items": items}, "meta": ref("Meta")}
    return {"type": "object", "properties": properties, "required": [*properties]}


@cache
def components() -> dict[str, Schema]:
    """Return the schemas of all shapes of ``builds.shapes`` by name."""
    named = {**vars(failures), **vars(shapes), **vars(comparison), **vars(plans)}
    found = {name: shape for name, shape in named.items() if isclass(shape) and is_typeddict(shape)}
    adapters = [(name, "serialization", TypeAdapter(shape)) for name, shape in found.items()]
    _, document = TypeAdapter.json_schemas(
        adapters,  # type: ignore[arg-type]  # a Literal in a tuple becomes a str
        ref_template="#/components/schemas/{model}",
        schema_generator=_Generator,
    )
    return dict(sorted(document["$defs"].items()))


def body(serializer: type[serializers.StrictSerializer]) -> dict[str, Schema]:
    """Return the bodies that a serializer reads, by media type: JSON and, if it takes a file, a form."""
    fields = serializer().fields.items()
    bodies = {"application/json": {name: _field(field) for name, field in fields if not _is_file(field)}}
    if any(_is_file(field) for _, field in fields):
        bodies["multipart/form-data"] = {name: _part(field) for name, field in fields}
    return {
        kind: {
            "type": "object",
            "properties": properties,
            "additionalProperties": not serializer.refuses_unknown,
        }
        for kind, properties in bodies.items()
    }


def _is_file(field: drf.Field[Any, Any, Any, Any]) -> bool:
    return isinstance(field, drf.FileField)


def _field(field: drf.Field[Any, Any, Any, Any]) -> Schema:
    return _described(field, next(shape for cls, shape in _FIELDS.items() if isinstance(field, cls)))


def _part(field: drf.Field[Any, Any, Any, Any]) -> Schema:
    """Return the schema of a part of a form: a file, or text, which is JSON for objects and lists."""
    return _described(
        field, {"type": "string", "format": "binary"} if _is_file(field) else {"type": "string"}
    )


def _described(field: drf.Field[Any, Any, Any, Any], schema: Schema) -> Schema:
    form = f"It is {field.form}" if isinstance(field, serializers.StructuredField) else ""
    text = str(field.help_text or form)
    return {**schema, "description": text} if text else schema
