"""Bodies of requests: JSON whatever the ``Content-Type`` says, unless it is multipart.

rpkg's Kerberos requests name no type at all (contract: rest, Submitting).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, NoReturn

from django.conf import settings
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.http import parse_header_parameters
from rest_framework import parsers
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

from builds.api import errors
from builds.api.renderers import JSONRenderer, wants_page
from mbs.errors import InvalidInput

#: levels of nesting that a body may have: twice what any key of ours needs
MAX_DEPTH = 16
#: of a whole number; no column holds as many
MAX_DIGITS = 100
#: what Django puts where a form is not UTF-8
_REPLACED = "\ufffd"


class JSONParser(parsers.BaseParser):
    """A JSON object: UTF-8, no key twice, no NUL, of bounded size and depth."""

    media_type = "application/json"
    renderer_class = JSONRenderer  # fills the form for raw JSON in the pages for browsers

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return read_object(_read(stream))


class MultiPartParser(parsers.MultiPartParser):
    """A form with files; a key may stand there once, and its value may be JSON where an object belongs."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> parsers.DataAndFiles[QueryDict, MultiValueDict[str, Any]]:
        raw = _read(stream)
        kind, _, options = (media_type or "").partition(";")
        boundary = parse_header_parameters(media_type or "")[1].get("boundary", "").encode()
        if not boundary:
            raise _invalid_form("The header Content-Type names no boundary of the form.")
        # Django reads a form that was cut off as far as it goes, and one with another boundary as empty.
        if not raw.startswith(b"--" + boundary):
            raise _invalid_form("The form does not begin with the boundary that Content-Type names.")
        if not raw.rstrip().endswith(b"--" + boundary + b"--"):
            raise _invalid_form("The form is incomplete: its closing boundary is missing.")
        try:
            # Types are the same in capital letters, but not for Django.
            parsed = super().parse(BytesIO(raw), f"{kind.lower()};{options}", parser_context)
        except ParseError as error:
            reason = str(error).removeprefix("Multipart form parse error - ").rstrip(".")
            raise _invalid_form(f"The form cannot be read: {reason[:200]}.") from error
        for key, values in [*parsed.data.lists(), *parsed.files.lists()]:
            if len(values) > 1:
                raise _invalid_form(f"The key {key[:60]!r} stands there twice.")
        for key, value in parsed.data.items():
            if _REPLACED in value and _REPLACED.encode() not in raw:
                raise _invalid_form(f"The value of {key[:60]!r} is not UTF-8.")
        _check_texts(parsed.data.dict())
        return parsed


class Negotiation(BaseContentNegotiation):
    """Pages for browsers, JSON for everybody else, whatever they accept."""

    def select_parser(self, request: Request, parsers: Sequence[Any]) -> Any:
        multipart = request.content_type.lower().startswith("multipart/form-data")
        return parsers[1 if multipart else 0]

    def select_renderer(
        self, request: Request, renderers: Sequence[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        renderer = renderers[-1 if wants_page(request.META.get("HTTP_ACCEPT", "")) else 0]
        return renderer, renderer.media_type


def _read(stream: Any) -> bytes:
    raw: bytes = stream.read(settings.MBS.BODY_LIMIT + 1)
    if len(raw) > settings.MBS.BODY_LIMIT:
        raise errors.body_too_large()
    return raw


def read_object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object that a stranger sent.

    :raises InvalidInput: saying what is wrong with it.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer
        )
    except UnicodeDecodeError as error:
        raise _invalid(f"The body is not UTF-8: byte {error.start} is wrong.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # JSONDecodeError is one
        raise _invalid(f"The body is not JSON: {str(error)[:200]}.") from error
    if not isinstance(value, dict):
        raise _invalid("The body is not a JSON object.")
    _check_texts(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _invalid(f"The key {twice[:60]!r} stands there twice.")
    return found


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _check_texts(value: Any, key: str = "", depth: int = 0) -> None:
    """Refuse what no database can store (NUL, halves of surrogate pairs) and what is nested too deeply."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, str):
        _check_text(value, f"The value of {key!r}")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name, f"The key {name[:60]!r}")
            _check_texts(item, key or name[:60], depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_texts(item, key, depth + 1)


def _check_text(text: str, what: str) -> None:
    if "\0" in text:
        raise _invalid(f"{what} holds a NUL character.")
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise _invalid(f"{what} is not valid Unicode.")


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, code="invalid_body", hint="Send a JSON object, in UTF-8.")


def _invalid_form(message: str) -> InvalidInput:
    return InvalidInput(
        message,
        code="invalid_body",
        hint="Send multipart/form-data in UTF-8, each key once, or a JSON object.",
    )


def _too_deep() -> InvalidInput:
    return _invalid(f"The body is nested deeper than {MAX_DEPTH} levels.")
