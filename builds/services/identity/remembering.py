"""What was learned about credentials, kept for a while in the memory of this process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.core.cache import cache

T = TypeVar("T")


def remembered(kind: str, secret: str, learn: Callable[[], tuple[T, float | None]]) -> T:
    """What ``learn`` answers, or has answered not long ago.

    :param kind: of thing that is learned, so that they do not mix.
    :param secret: what it is learned about; the cache holds a digest of it only.
    :param learn: answers the thing, and the seconds for which it holds (None: not known). What it raises is
        not remembered.
    """
    key = f"{kind}:{digest(secret)}"
    found: T | None = cache.get(key)
    if found is None:
        found, seconds = learn()
        longest = float(settings.MBS.IDENTITY_CACHE_TIME)
        cache.set(key, found, longest if seconds is None else min(seconds, longest))
    return found


def digest(secret: str) -> str:
    """SHA-256 in hexadecimal digits: enough for secrets that nobody can guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
