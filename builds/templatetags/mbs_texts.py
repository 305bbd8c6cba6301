"""Texts about builds in templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template
from django.template.defaultfilters import filesizeformat

from mbs.reuse import brief

register = template.Library()


@register.filter
def grown(rpm: Mapping[str, Any]) -> str:
    """Return the difference in size of an RPM; empty if a size is not recorded."""
    old, new = rpm["old_size"], rpm["new_size"]
    if old is None or new is None:
        return ""
    if old == new:
        return "same size"
    share = f" ({(new - old) / old:+.0%})" if old and abs(new - old) * 100 >= old else ""
    return f"{'+' if new > old else '-'}{filesizeformat(abs(new - old))}{share}"


@register.filter
def dependencies(rpm: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the kinds of dependencies that changed, each with what was added and removed."""
    return [(kind, rpm[kind]) for kind in ("requires", "provides") if rpm[kind]]


@register.filter
def why(reuse: Mapping[str, Any]) -> str:
    """Return why a component of a plan would be built, in a few words."""
    return brief(str(reuse["code"]), str(reuse["detail"]))
