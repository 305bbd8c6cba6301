"""Parse request bodies: as JSON whatever the ``Content-Type`` says, unless it is multipart.

rpkg's requests with Kerberos have no ``Content-Type`` (docs/contract/rest.md, "Submitting").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from django.conf import settings
from django.utils.datastructures import MultiValueDict
from django.utils.http import parse_header_parameters
from rest_framework import parsers
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

from builds.api import errors
from builds.api.json_input import check_texts, read_object
from builds.api.renderers import JSONRenderer, wants_page
from mbs.errors import InvalidInput

#: Django puts this character where a form is not UTF-8.
_REPLACED = "\ufffd"


class JSONParser(parsers.BaseParser):
    """Parse a JSON object in UTF-8, without duplicate keys and NUL, of bounded size and depth."""

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the JSON object in the body of a request.

        Raises:
            InvalidInput: The body is not JSON, is not an object, or exceeds a limit.
        """
        return read_object(_read(stream))


class MultiPartParser(parsers.MultiPartParser):
    """Parse a form with files. Each key may occur once. Keys for objects and lists contain JSON texts."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> parsers.DataAndFiles[Any, MultiValueDict[str, Any]]:
        """Return the fields and files of the form.

        Raises:
            InvalidInput: The form is incomplete, not UTF-8, or has a key twice.
        """
        raw = _read(stream)
        kind, _, options = (media_type or "").partition(";")
        boundary = parse_header_parameters(media_type or "")[1].get("boundary", "").encode()
        if not boundary:
            raise _invalid_form("The header Content-Type names no boundary of the form.")
        # Django accepts a truncated form, and takes one with a wrong boundary for an empty one.
        if not raw.startswith(b"--" + boundary):
            raise _invalid_form("The form does not begin with the boundary that Content-Type names.")
        if not raw.rstrip().endswith(b"--" + boundary + b"--"):
            raise _invalid_form("The form is incomplete: its closing boundary is missing.")
        try:
            # Media types are case-insensitive, but Django compares them in lower case.
            parsed = super().parse(BytesIO(raw), f"{kind.lower()};{options}", parser_context)
        except ParseError as error:
            reason = str(error).removeprefix("Multipart form parse error - ").rstrip(".")
            raise _invalid_form(f"The form cannot be read: {reason[:200]}.") from error
        for key, values in [*parsed.data.lists(), *parsed.files.lists()]:
            if len(values) > 1:
                raise _invalid_form(f"The key {key[:60]!r} is given twice.")
        for key, value in parsed.data.items():
            if _REPLACED in value and _REPLACED.encode() not in raw:
                raise _invalid_form(f"The value of {key[:60]!r} is not UTF-8.")
        check_texts(parsed.data.dict())
        return parsed


class ClientNegotiation(BaseContentNegotiation):
    """Choose pages for browsers and JSON for all other clients, whatever they accept."""

    def select_parser(  # type: ignore[override]  # DRF passes lists
        self, request: Request, parsers: Sequence[Any]
    ) -> Any:
        """Return the multipart parser for a form, and the JSON parser for every other type."""
        multipart = request.content_type.lower().startswith("multipart/form-data")
        return parsers[1 if multipart else 0]

    def select_renderer(  # type: ignore[override]  # DRF passes lists
        self, request: Request, renderers: Sequence[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        """Return the page renderer for a browser, and the JSON renderer for other clients."""
        renderer = renderers[-1 if wants_page(request.META.get("HTTP_ACCEPT", "")) else 0]
        return renderer, renderer.media_type


def _read(stream: Any) -> bytes:
    raw: bytes = stream.read(settings.MBS.BODY_LIMIT + 1)
    if len(raw) > settings.MBS.BODY_LIMIT:
        raise errors.body_too_large()
    return raw


def _invalid_form(message: str) -> InvalidInput:
    return InvalidInput(
        message,
        code="invalid_body",
        hint="Send multipart/form-data in UTF-8 with each key once, or a JSON object.",
    )
