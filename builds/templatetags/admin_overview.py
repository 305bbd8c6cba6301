"""Template tags for the overview of the admin."""

from __future__ import annotations

from typing import Any

from django import template
from django.conf import settings

from builds.admin import overview as data

register = template.Library()


@register.simple_tag
def flower_url() -> str:
    """Return the address of Flower, or "" if none is configured."""
    return settings.MBS.FLOWER_URL or ""


@register.simple_tag
def overview() -> dict[str, Any]:
    """Return the state of the service; see ``builds.admin.overview``."""
    return data.overview()
