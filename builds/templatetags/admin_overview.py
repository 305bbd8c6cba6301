"""Template tags for the overview of the admin."""

from __future__ import annotations

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def flower_url() -> str:
    """Return the address of Flower, or "" if none is configured."""
    return settings.MBS.FLOWER_URL or ""
