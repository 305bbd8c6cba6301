"""Read untrusted JSON: with bounded depth, and only with texts and numbers that the database can store.

Parsers, serializers and filters share this module.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

from mbs.errors import InvalidInput, Problem

#: Levels of nesting in a body: twice as many as the deepest known key needs.
MAX_DEPTH = 16
#: Digits of a whole number: more than any column holds.
MAX_DIGITS = 100


def read_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in a request body.

    Raises:
        InvalidInput: The body is not a valid object.
    """
    try:
        value = read_json(raw.decode("utf-8"), "The body")
    except UnicodeDecodeError as error:
        raise _invalid(f"The body is not UTF-8: byte {error.start} is wrong.") from error
    if not isinstance(value, dict):
        raise _invalid("The body is not a JSON object.")
    return value


def read_json(text: str, what: str, key: str = "") -> Any:
    """Return a JSON value.

    Args:
        what: Names the value in error messages, such as "The body".
        key: The key that the value belongs to. Empty for a body, whose own keys are named.

    Raises:
        InvalidInput: The text is not JSON, nested too deeply, or contains a text that cannot be stored.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # JSONDecodeError is one
        raise _invalid(f"{what} is not JSON: {str(error)[:200]}.") from error
    check_texts(value, key)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _invalid(f"The key {twice[:60]!r} is given twice.")
    return found


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def check_texts(value: Any, key: str = "", depth: int = 0) -> None:
    """Check a value for nesting depth, and for texts that no database stores: NUL and lone surrogates.

    Raises:
        InvalidInput: The check failed.
    """
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, str):
        _check_text(value, f"The value of {key!r}", key)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name, f"The key {name[:60]!r}", key or name[:60])
            check_texts(item, key or name[:60], depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_texts(item, key, depth + 1)


def _check_text(text: str, what: str, key: str) -> None:
    if "\0" in text:
        raise _invalid(f"{what} contains a NUL character.", key)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _invalid(f"{what} is not valid Unicode.", key) from error


def _invalid(message: str, key: str = "") -> InvalidInput:
    shown = key.encode("utf-8", "backslashreplace").decode()
    problems = [Problem("invalid_body", message, key=shown)] if key else []
    return InvalidInput(message, code="invalid_body", hint="Send a JSON object, in UTF-8.", problems=problems)


def _too_deep() -> InvalidInput:
    return _invalid(f"The body is nested deeper than {MAX_DEPTH} levels.")
