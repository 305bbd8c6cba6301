"""What was learned about credentials, kept for a while in the memory of this process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import TypeVar

from django.conf import settings
from django.core.cache import cache, caches

from mbs.errors import NotAuthenticated, TooManyRequests, Unavailable

T = TypeVar("T")


#: seconds for which a refusal is remembered; what was refused may be granted later
REFUSAL_TIME = 60
#: Others are asked by no more threads than these, so that some are left for requests that need no asking.
_LOOKUPS = BoundedSemaphore(max(1, settings.MBS.WEB_THREADS // 2))
#: seconds for which one waits for one of them
_WAIT = 2.0


def cached_lookup(
    kind: str,
    secret: str,
    look_up: Callable[[], tuple[T, float | None]],
    *,
    fresh: bool = False,
    address: str = "",
) -> T:
    """What ``look_up`` answers, or has answered not long ago.

    :param kind: of thing that is learned, so that they do not mix.
    :param secret: what it is learned about; the cache holds a digest of it only.
    :param look_up: answers the thing, and the seconds for which it holds (None: not known). A refusal is
        remembered for a minute, other errors are not.
    :param fresh: ask again, whatever was answered before.
    :param address: of the client; one that has many secrets refused must wait.
    :raises NotAuthenticated: it is refused, or was not long ago.
    :raises TooManyRequests: too many secrets of this address were refused.
    :raises Unavailable: too many others are being asked about.
    """
    key = f"{kind}:{digest(secret)}"
    found: T | None = None if fresh else cache.get(key)
    if found is None:
        refused: dict[str, str] | None = caches["refusals"].get(key)
        if refused:
            raise NotAuthenticated(**refused)
        found, seconds = _look_up(key, look_up, address)
        longest = float(settings.MBS.IDENTITY_CACHE_TIME)
        cache.set(key, found, longest if seconds is None else min(seconds, longest))
    return found


def _look_up(key: str, look_up: Callable[[], tuple[T, float | None]], address: str) -> tuple[T, float | None]:
    counter = f"refused:{address}"
    refusals = caches["refusals"]
    if address and refusals.get(counter, 0) >= settings.MBS.TOKEN_REFUSALS:
        raise TooManyRequests(
            "Too many tokens of this address were refused.", code="too_many_logins", hint="Wait a minute."
        )
    if not _LOOKUPS.acquire(timeout=_WAIT):
        raise Unavailable("Too many logins are being checked.", code="busy", hint="Try again in a while.")
    try:
        return look_up()
    except NotAuthenticated as error:
        refusals.set(key, {"message": error.message, "code": error.code, "hint": error.hint}, REFUSAL_TIME)
        if address and not refusals.add(counter, 1, REFUSAL_TIME):
            refusals.incr(counter)
        raise
    finally:
        _LOOKUPS.release()


def digest(secret: str) -> str:
    """SHA-256 in hexadecimal digits: enough for secrets that nobody can guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
