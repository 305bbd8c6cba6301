"""The OpenAPI document as tests use it: with exactly the keys that it names."""

from __future__ import annotations

from typing import Any


def closed(value: Any) -> Any:
    """Return a document whose objects allow no keys besides those they name.

    Published objects are open, so that answers may gain keys; tests still notice a key that is not described.
    """
    if isinstance(value, list):
        return [closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: closed(item) for key, item in value.items()}
    if found.get("type") == "object" and "required" in found:
        found.setdefault("additionalProperties", False)
    return found
