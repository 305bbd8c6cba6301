"""Variables of all templates."""

from __future__ import annotations

from django.http import HttpRequest

from builds.api import links


def prefix(request: HttpRequest) -> dict[str, str]:
    """Return the path under which a proxy serves the service, as ``prefix``: links begin with it."""
    return {"prefix": links.prefix()}
