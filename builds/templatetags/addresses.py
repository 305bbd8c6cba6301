"""Template tags for links to the API."""

from __future__ import annotations

from django import template

from builds.api import links

register = template.Library()


@register.simple_tag
def below_prefix(path: str) -> str:
    """Return the path of a page for links: with the prefix under which a front server serves the service.

    Args:
        path: The path without the prefix.
    """
    return f"{links.prefix()}{path}"


@register.simple_tag
def api_address(path: str = "") -> str:
    """Return the path of a resource in version 2 of the API.

    Args:
        path: The path below the root of the API; empty for the root.
    """
    return f"{links.root('2')}{path}"
