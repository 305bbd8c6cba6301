"""What answers look like: JSON for programs, pages for browsers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer

from builds import encoding


def wants_page(accept: str) -> bool:
    """Whether a request with this ``Accept`` header comes from a browser, and not from a program."""
    return "text/html" in accept and "application/json" not in accept


class JSONRenderer(BaseRenderer):
    """JSON; indented where people read it."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        for_people = renderer_context and renderer_context.get("indent")
        return encoding.indented(data) if for_people else encoding.encode(data)


class PageRenderer(BrowsableAPIRenderer):
    """The same answers as pages, with forms that submit, filter and turn pages."""

    template = "builds/api.html"
