"""Render answers as JSON, and decide which clients get pages instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from builds import encoding

#: Format name of ``builds.api.browsable.PageRenderer``.
PAGE = "api"


def wants_page(accept: str) -> bool:
    """Return whether a request comes from a browser.

    A browser names HTML (q > 0), does not prefer JSON to it, and either names XHTML or leaves out ``*/*``.
    Java's default ``text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2`` does not count as a browser. See
    docs/contract/rest.md, "Pages and JSON".

    Args:
        accept: The value of the header ``Accept``.
    """
    if "text/html" not in accept.lower():
        return False
    weights = dict(map(_media_range, accept.split(",")))
    html = weights.get("text/html", 0.0)
    browser = weights.get("application/xhtml+xml", 0.0) > 0 or "*/*" not in weights
    return 0 < html >= weights.get("application/json", 0.0) and browser


def is_page(request: Request) -> bool:
    """Return whether the answer to this request is a page."""
    return getattr(request.accepted_renderer, "format", "") == PAGE


def _media_range(text: str) -> tuple[str, float]:
    """Return the name of a media range and its weight (RFC 9110, 12.5.1)."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    quality = next((part[2:].strip() for part in parameters if part.startswith("q=")), "1")
    try:
        return name, min(max(float(quality), 0.0), 1.0)
    except ValueError:
        return name, 0.0


class JSONRenderer(BaseRenderer):
    """Render JSON, indented on pages."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the data as JSON."""
        if data is None:
            return b""
        for_people = renderer_context and renderer_context.get("indent")
        return encoding.indented(data) if for_people else encoding.encode(data)
