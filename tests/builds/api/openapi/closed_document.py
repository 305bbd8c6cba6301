"""The OpenAPI document that forbids additional keys, for tests."""

from __future__ import annotations

from typing import Any


def closed(value: Any) -> Any:
    """Return a document whose objects allow only the keys that they name.

    The published objects are open, so that later releases can add keys. Tests must notice keys that are not
    described.
    """
    if isinstance(value, list):
        return [closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: closed(item) for key, item in value.items()}
    if found.get("type") == "object" and "required" in found:
        found.setdefault("additionalProperties", False)
    return found
