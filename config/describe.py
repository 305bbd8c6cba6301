"""Describe options for people: group, type, default, meaning, and masked values."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from config.schema import GROUPS, Options
from config.types import SECRETS, STARS, Masked, without_secrets

_MAX_SHOWN = 200
_FIELDS = Options.model_fields


@dataclass(frozen=True)
class Option:
    """The description of an option. ``default`` is None if the option is required."""

    group: str
    name: str
    type: str
    default: Any
    required: bool
    meaning: str


def describe_options() -> Iterator[Option]:
    """Yield all options, group by group."""
    for group in GROUPS:
        for name in group.__annotations__:
            if field := _FIELDS.get(name):
                default = None if field.is_required() else plain(field.default)
                yield Option(
                    (group.__doc__ or "").rstrip("."),
                    name,
                    type_words(field.annotation) + _bounds(field),
                    default,
                    field.is_required(),
                    field.description or "",
                )


def masked(name: str, value: Any) -> Any:
    """Return the value of an option without secrets."""
    marks = [mark for mark in _FIELDS[name].metadata if isinstance(mark, Masked)]
    if marks and value:
        return marks[0].show(value if isinstance(value, str) else "")
    return _without_secrets(value)


def _without_secrets(value: Any) -> Any:
    """Return a value without passwords in URLs, and without values of keys that sound secret."""
    match value:
        case str():
            return without_secrets(value)
        case tuple() | list() | set() | frozenset():
            return type(value)(_without_secrets(item) for item in value)
        case Mapping():
            return {
                key: STARS if isinstance(item, str) and SECRETS.search(str(key)) else _without_secrets(item)
                for key, item in value.items()
            }
    return value


def masked_repr(name: str, value: Any) -> str:
    """Return a value for a message: masked and shortened."""
    text = repr(masked(name, value))
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def plain(value: Any) -> Any:
    """Return the value as JSON types, with sets sorted."""
    match value:
        case Path():
            return str(value)
        case frozenset() | set():
            return sorted(value)
        case tuple() | list():
            return [plain(item) for item in value]
        case Mapping():
            return {key: plain(item) for key, item in value.items()}
        case float() if value.is_integer():
            return int(value)
    return value


def type_words(annotation: Any) -> str:
    """Return the name of a type as in the documentation, such as ``list of str``."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_words(arguments[0])
    if origin is Literal:
        return " or ".join(repr(value) for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(type_words(kind) for kind in arguments)
    if origin is tuple:
        return f"list of {type_words(arguments[0])}"
    if origin is frozenset:
        return f"set of {type_words(arguments[0])}"
    if origin is Mapping:
        return f"dict of {type_words(arguments[0])} to {type_words(arguments[1])}"
    names = {Path: "path", Any: "anything", type(None): "None"}
    return names.get(annotation) or str(annotation.__name__)


def _bounds(field: FieldInfo) -> str:
    for mark in field.metadata:
        if isinstance(mark, annotated_types.Ge):
            return f" >= {mark.ge}"
        if isinstance(mark, annotated_types.Gt):
            return f" > {mark.gt}"
    return ""
