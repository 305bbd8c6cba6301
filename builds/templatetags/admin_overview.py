"""What the pages of the admin need besides rows."""

from __future__ import annotations

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def flower_url() -> str:
    """Where Flower is; empty: nowhere."""
    return settings.MBS.FLOWER_URL or ""
