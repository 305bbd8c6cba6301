"""Describe operations: their answers and errors, and the JSON Schema of types and of request bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import isclass
from typing import Any

from drf_spectacular.drainage import get_override
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from rest_framework.serializers import FileField
from typing_extensions import is_typeddict

from builds import shapes
from builds.api.authentication import SAFE
from builds.api.openapi.examples import EXAMPLES
from builds.api.serializers import StrictSerializer
from builds.encoding import plain
from builds.shapes import comparison, failures, lists, plans

JSON, SSE, PLAIN, FORM = "application/json", "text/event-stream", "text/plain", "multipart/form-data"
Schema = dict[str, Any]
_NUMBER = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}
#: The parameter for an id in an address, without its description.
ID: Schema = {"name": "id", "in": "path", "required": True, "schema": _NUMBER}
_READING = {400, 500, 503}
_WRITING = _READING | {401, 403, 411, 413, 429}
#: Further errors of a submission that names something that exists already, is wrong, or is unavailable.
BUILDING = (404, 409, 422, 501)


@dataclass(frozen=True)
class Operation:
    """One method of one address.

    Filters, order and request bodies are not repeated here, since the views define them.

    Attributes:
        answer: The type of the answer, or one for each version of the API if they differ.
        more_errors: Statuses of errors besides those of all operations of its kind.
        summary: By default, the first sentence of the docstring of the view.
        empty: Statuses of answers without a body -> their meaning.
    """

    id: str
    answer: Any
    more_errors: tuple[int, ...] = ()
    status: int = 200
    media_type: str = JSON
    summary: str = ""
    empty: Mapping[int, str] = field(default_factory=dict)

    def describe(self, path: str, method: str, text: str) -> Schema:
        """Return the description, without what only the view knows.

        Args:
            path: Its address in the document.
            method: Its method.
            text: A description, from whose first sentence the summary is taken if there is none.
        """
        summary = self.summary or text.partition(". ")[0].rstrip(".")
        shape = self.answer[path.split("/")[2]] if isinstance(self.answer, dict) else self.answer
        content = {"schema": schema_of(shape), **examples_of(EXAMPLES.get(shape, {}))}
        common = _READING if method in SAFE else _WRITING
        errors = {*common, *self.more_errors, *((404,) if "{id}" in path else ())}
        answers = {
            self.status: {"description": summary, "content": {self.media_type: content}},
            **{status: {"description": meaning} for status, meaning in self.empty.items()},
            **{status: {"$ref": f"#/components/responses/{status}"} for status in sorted(errors)},
        }
        responses = {str(status): answer for status, answer in answers.items()}
        return {"operationId": self.id, "summary": summary, "description": text, "responses": responses}


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _generate(named: Mapping[str, Any]) -> Any:
    """Return the schemas of types by name and mode, and a document with the schemas that these refer to."""
    return TypeAdapter.json_schemas(
        [(name, "serialization", TypeAdapter(shape)) for name, shape in named.items()],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Generator,
    )


@cache
def shape_schemas() -> dict[str, Schema]:
    """Return the schemas of all shapes of ``builds.shapes`` by name."""
    found = {k: v for module in (failures, shapes, comparison, lists, plans) for k, v in vars(module).items()}
    named = {name: shape for name, shape in found.items() if isclass(shape) and is_typeddict(shape)}
    return dict(sorted(_generate(named)[1]["$defs"].items()))


def schema_of(shape: Any) -> Schema:
    """Return the schema of a type, with references to ``shape_schemas``."""
    schema: Schema = _generate({"": shape})[0]["", "serialization"]
    return schema


def examples_of(values: Mapping[str, Any]) -> Schema:
    """Return the examples of a body or an answer."""
    return {"examples": {name: {"value": plain(value)} for name, value in values.items()}} if values else {}


def bodies(serializer: type[StrictSerializer]) -> dict[str, Schema]:
    """Return the bodies that a serializer reads, by media type: JSON and, if it takes a file, a form.

    The parts of a form are files and texts. Objects and lists are JSON in a text.
    """
    values: Schema = {}
    parts: Schema = {}
    for name, each in serializer().fields.items():
        about = {"description": str(each.help_text)} if each.help_text else {}
        if isinstance(each, FileField):
            parts[name] = {"type": "string", "format": "binary", **about}
        else:
            values[name] = {**get_override(each, "field"), **about}
            parts[name] = {"type": "string", **about}
    shape = {"type": "object", "additionalProperties": not serializer.refuses_unknown}
    shown = {example.name: example.value for example in get_override(serializer, "examples")}
    found: dict[str, Schema] = {JSON: {"schema": {**shape, "properties": values}, **examples_of(shown)}}
    if parts.keys() > values.keys():
        found[FORM] = {"schema": {**shape, "properties": parts}}
    return found
