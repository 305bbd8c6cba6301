"""Query parameters: each value is checked, and unknown names are told in the ``Warning`` header."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from urllib.parse import quote, unquote_to_bytes

from rest_framework.request import Request

from mbs.errors import InvalidInput

#: larger numbers are cut to this: no list is as long
MAX_NUMBER = 10**15
FLAGS = {"true": True, "1": True, "false": False, "0": False}


class Shape(Enum):
    """How much of a build is shown."""

    SHORT = "short"
    DEFAULT = "default"
    VERBOSE = "verbose"


SHAPES = (Shape.VERBOSE.value, Shape.SHORT.value)


def invalid(name: str, wanted: str) -> InvalidInput:
    """The error of a parameter whose value cannot be used."""
    return InvalidInput(
        f"The value of the parameter {name!r} is not valid.", code="invalid_parameter", hint=wanted
    )


def check_encoding(request: Request) -> None:
    """Refuse query strings that are not UTF-8, and NUL, which no database stores.

    :raises InvalidInput: naming the parameter.
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
            raise invalid(name, "A value must not hold the character NUL.")


def flag(request: Request, name: str) -> bool:
    """A yes or no, which may stand there several times: one yes is enough (rpkg sends two)."""
    found = False
    for value in request.query_params.getlist(name):
        if value.lower() not in FLAGS:
            raise invalid(name, "Write true, false, 1 or 0.")
        found = found or FLAGS[value.lower()]
    return found


def shape(request: Request) -> Shape:
    """Which representation was asked for; verbose wins."""
    short, verbose = flag(request, "short"), flag(request, "verbose")
    return Shape.VERBOSE if verbose else Shape.SHORT if short else Shape.DEFAULT


def positive(request: Request, name: str, default: int) -> int:
    """A whole number from 1; huge ones are cut to ``MAX_NUMBER``."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or not text.strip("0"):
        raise invalid(name, "Write a whole number from 1.")
    digits = text.lstrip("0")
    return int(digits) if len(digits) <= 15 else MAX_NUMBER


def warning(unknown: Iterable[str]) -> str:
    """Value of the ``Warning`` header (RFC 7234, 5.5) for parameters that were ignored."""
    names = ", ".join(quote(name[:60], safe=" ") for name in list(unknown)[:10])
    return f'299 - "Ignored unknown query parameters: {names}"'
