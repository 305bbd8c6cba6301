"""The shapes of failures (docs/contract/rest.md, docs/contract/messages.md)."""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from pydantic import Field, GetPydanticSchema, WithJsonSchema
from pydantic_core.core_schema import any_schema
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

Cause = Literal["module", "infrastructure", "canceled"]
# JSON columns of listed rows are copied into responses unparsed.
_JSON_COLUMN = GetPydanticSchema(lambda *_: any_schema())


class Excerpt(TypedDict):
    """The lines of a component's log that explain why it failed."""

    log: Annotated[str, Field(description="Name of the log")]
    line: Annotated[int | None, Field(description="The line that explains; null if it is not known")]
    first_line: Annotated[int | None, Field(description="Number of the first of lines")]
    cause: Annotated[str, Field(description="The line that explains the failure")]
    lines: Annotated[list[str], Field(description="It, and those around it")]
    url: Annotated[str, Field(description="Path of the page that shows the line: put the host before it")]


class ComponentExcerpt(Excerpt):
    """An excerpt in a module build, with the name of the component."""

    component: str
    component_build: Annotated[int, Field(ge=1)]


StoredExcerpt = Annotated[
    Excerpt | orjson.Fragment | None,
    _JSON_COLUMN,
    WithJsonSchema({"anyOf": [{"$ref": "#/components/schemas/Excerpt"}, {"type": "null"}]}),
]
StoredComponentExcerpt = Annotated[
    ComponentExcerpt | orjson.Fragment | None,
    _JSON_COLUMN,
    WithJsonSchema({"anyOf": [{"$ref": "#/components/schemas/ComponentExcerpt"}, {"type": "null"}]}),
]


class Failure(TypedDict):
    """Why a module build failed."""

    code: str
    message: str
    hint: str
    cause: Annotated[Cause, Field(description="The thing that caused the failure")]
    excerpt: StoredComponentExcerpt
