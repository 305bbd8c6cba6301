"""Read query parameters by one set of rules, and report unknown names.

The rules are in docs/contract/rest.md, "Query parameters".
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from django.http import QueryDict
from rest_framework.request import Request

from mbs.errors import InvalidInput, Problem

#: Larger numbers are reduced to this one, which exceeds the length of any list.
MAX_NUMBER = 10**15
FLAGS = {"true": True, "1": True, "false": False, "0": False}
#: The parameter that makes unknown parameters an error instead of a warning.
STRICT = "strict"
#: Maximum number of unknown parameters that an answer names.
MAX_NAMED = 10


class Shape(Enum):
    """The representation of builds in an answer."""

    SHORT = "short"
    DEFAULT = "default"
    VERBOSE = "verbose"


SHAPES = (Shape.VERBOSE.value, Shape.SHORT.value)
_FLAG = {"type": "string", "examples": ["true"]}
#: Parameter -> its description and JSON Schema. Filters, order and pages describe theirs themselves.
DESCRIBED: Mapping[str, dict[str, Any]] = {
    "verbose": {
        "description": "Show all keys of each build: true or 1. It overrides short.",
        "schema": _FLAG,
    },
    "short": {"description": "Show few keys of each build: true or 1.", "schema": _FLAG},
    "all": {"description": "Include the components that did not change: true or 1.", "schema": _FLAG},
    "with": {
        "description": "Number of the module build to compare with.",
        "schema": {"type": "integer", "minimum": 1},
    },
    STRICT: {
        "description": "Refuse unknown parameters (400) instead of listing them in the header Warning: "
        "true or 1.",
        "schema": _FLAG,
    },
}


def invalid(name: str, wanted: str) -> InvalidInput:
    """Return the error for a parameter with an invalid value.

    Args:
        wanted: The hint: which values are valid.
    """
    return InvalidInput(
        f"The value of the parameter {name!r} is not valid.", code="invalid_parameter", hint=wanted
    )


def check_encoding(request: Request) -> None:
    """Check that the query string is UTF-8 without NUL, which no database stores.

    Raises:
        InvalidInput: It is not. The error names the parameter.
    """
    query = request.META.get("QUERY_STRING", "")
    if "%" not in query and query.isascii():
        return
    for part in query.split("&"):
        name = part.partition("=")[0][:60]
        try:
            text = unquote_to_bytes(part.encode("latin-1", "replace")).decode("utf-8")
        except UnicodeDecodeError:
            raise invalid(name, "Encode parameters in UTF-8.") from None
        if "\0" in text:
            raise invalid(name, "Leave out the character NUL.")


def given(query: QueryDict, repeatable: Collection[str]) -> QueryDict:
    """Return the parameters that have a value.

    Empty values are ignored. If a parameter that takes one value is repeated, the first value counts.

    Args:
        query: The parameters of the request.
        repeatable: Names of the parameters that take several values.

    Raises:
        InvalidInput: A value consists of white space.
    """
    kept = QueryDict(mutable=True)
    for name, values in query.lists():
        values = [value for value in values if value]
        if any(value.isspace() for value in values):
            raise invalid(name[:60], "The value is blank: leave the parameter out, or give it a value.")
        if values:
            kept.setlist(name, values if name in repeatable else values[:1])
    return kept


def flag(request: Request, name: str) -> bool:
    """Return whether a parameter is "true" or "1", in upper or lower case. Any other value is False."""
    return FLAGS.get(request.query_params.get(name, "").lower(), False)


def shape(request: Request) -> Shape:
    """Return the requested representation; verbose wins over short."""
    short, verbose = flag(request, "short"), flag(request, "verbose")
    return Shape.VERBOSE if verbose else Shape.SHORT if short else Shape.DEFAULT


def number(request: Request, name: str, *, least: int, default: int) -> int:
    """Return a parameter as a whole number of at most ``MAX_NUMBER``.

    The default is returned for a missing parameter, for any other text, and for a number below ``least``.
    """
    text = request.query_params.get(name, "")
    if not (text.isascii() and text.isdigit()):
        return default
    digits = text.lstrip("0") or "0"
    value = int(digits) if len(digits) <= 15 else MAX_NUMBER
    return value if value >= least else default


def check_known(unknown: Iterable[str], known: Collection[str]) -> None:
    """Refuse unknown parameters, and suggest the most similar known names.

    Raises:
        InvalidInput: There is an unknown parameter.
    """
    problems = []
    for name in list(unknown)[:MAX_NAMED]:
        nearest = difflib.get_close_matches(name[:60], known, 1)
        hint = f"Did you mean {nearest[0]!r}?" if nearest else f"Parameters are {', '.join(sorted(known))}."
        problems.append(
            Problem("unknown_parameter", f"There is no parameter {name[:60]!r}.", key=name[:60], hint=hint)
        )
    if problems:
        raise InvalidInput(
            " ".join(problem.message for problem in problems),
            code="unknown_parameter",
            hint=" ".join(dict.fromkeys(problem.hint for problem in problems)),
            problems=problems,
        )


def warning(unknown: Iterable[str]) -> str:
    """Return the value of the header ``Warning`` (RFC 7234, 5.5) that names ignored parameters."""
    names = ", ".join(quote(name[:60], safe=" ") for name in list(unknown)[:MAX_NAMED])
    return f'299 - "Ignored unknown query parameters: {names}"'
