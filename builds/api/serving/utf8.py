"""Requests of Django whose texts are UTF-8."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.utils.http import parse_header_parameters


class UTF8Request(WSGIRequest):
    """A request whose query string and forms are UTF-8, whatever charset its ``Content-Type`` names.

    Django would decode them with the codec of Python that has this name. Some codecs fail before Django
    handles errors (hex), and others hide a parameter from ``builds.api.serving.waiting`` (UTF-7).
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        """Read the type of the body without its charset. Django calls this for each request."""
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:  # a parameter in an unknown charset (RFC 2231): ignore the header
            meta["CONTENT_TYPE"] = ""
            self.content_type, self.content_params = "", {}
