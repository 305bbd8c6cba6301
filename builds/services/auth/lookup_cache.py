"""Cache results of verifying credentials, in the memory of this process."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore, Lock, Semaphore
from typing import TypeVar

from django.conf import settings
from django.core.cache import cache, caches

from mbs.errors import NotAuthenticated, TooManyRequests, Unavailable

T = TypeVar("T")

#: Code of the error when too many requests wait.
BUSY = "busy"

#: Seconds for which a refusal is cached; credentials that were refused may become valid later.
REFUSAL_TIME = 60
#: Half of the threads may look up credentials at the same time.
_LOOKUPS = BoundedSemaphore(max(1, settings.MBS.WEB_THREADS // 2))
#: While lookups are slow, a quarter may wait for those of others. The rest serves other requests meanwhile.
_WAITING = BoundedSemaphore(settings.MBS.WEB_THREADS // 4)
#: Seconds after which a lookup is slow, and for which lookups then count as slow.
_SLOW, _SLOW_TIME = 1.0, 60.0
#: Seconds for which a request waits to begin a lookup.
_WAIT = 2.0


def cached_lookup(
    kind: str,
    secret: str,
    look_up: Callable[[], tuple[T, float | None]],
    *,
    fresh: bool = False,
    address: str = "",
) -> T:
    """Return the cached result for a secret, or the result of ``look_up``.

    Args:
        kind: Kind of the result, which is part of the cache key.
        secret: Secret that is looked up; the cache key contains only its digest.
        look_up: Returns the result, and the seconds for which it is valid (None: unknown). A refusal
            (``NotAuthenticated``) is cached for a minute, other errors are not.
        fresh: Whether to ignore cached results.
        address: Address of the client, or its network (``builds.clients``). It must wait after many refusals.

    Raises:
        NotAuthenticated: The secret is refused, or was refused less than a minute ago.
        TooManyRequests: Too many secrets from this address were refused.
        Unavailable: Too many lookups are running.
    """
    key = f"{kind}:{digest(secret)}"
    known: T | None = None if fresh else cache.get(key)
    if known is not None:
        return known
    refused: dict[str, str] | None = caches["refusals"].get(key)
    if refused:
        raise NotAuthenticated(refused["message"], code=refused["code"], hint=refused["hint"])
    found, seconds = _look_up(key, look_up, address)
    longest = float(settings.MBS.IDENTITY_CACHE_TIME)
    cache.set(key, found, longest if seconds is None else min(seconds, longest))
    return found


def _look_up(key: str, look_up: Callable[[], tuple[T, float | None]], address: str) -> tuple[T, float | None]:
    counter = f"refused:{address}"
    refusals = caches["refusals"]
    if address and refusals.get(counter, 0) >= settings.MBS.TOKEN_REFUSALS:
        raise TooManyRequests(
            "Too many tokens from this address were refused.",
            retry_after=REFUSAL_TIME,
            code="too_many_logins",
            hint="Wait a minute.",
        )
    try:
        with lookup_slot():
            return look_up()
    except NotAuthenticated as error:
        refusals.set(key, {"message": error.message, "code": error.code, "hint": error.hint}, REFUSAL_TIME)
        if address and not refusals.add(counter, 1, REFUSAL_TIME):
            with suppress(ValueError):  # the counter has just expired
                refusals.incr(counter)
        raise


@contextmanager
def lookup_slot() -> Iterator[None]:
    """Limit the number of threads that wait for a provider or a directory at the same time.

    Raises:
        Unavailable: Too many lookups are running.
    """
    if not acquire(_LOOKUPS, _WAIT):
        raise Unavailable("Too many logins are being checked.", code=BUSY, hint="Try again later.")
    try:
        with _pace.measured():
            yield
    finally:
        _LOOKUPS.release()


class _Pace:
    """Measures how long lookups take."""

    def __init__(self) -> None:
        self._began: set[float] = set()
        self._slow_until = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure a lookup until the context ends."""
        began = time.monotonic()
        self._began.add(began)
        try:
            yield
        finally:
            self._began.discard(began)
            if time.monotonic() - began > _SLOW:
                self._slow_until = time.monotonic() + _SLOW_TIME

    @property
    def slow(self) -> bool:
        """Return whether a lookup is slow, or was slow a short time ago."""
        now = time.monotonic()
        return now < self._slow_until or any(now - began > _SLOW for began in tuple(self._began))


_pace = _Pace()


def acquire(lock: Lock | Semaphore, seconds: float) -> bool:
    """Acquire a lock that is held during lookups, and return whether it was acquired.

    Args:
        lock: The lock.
        seconds: Seconds to wait for it; none if lookups are slow and too many threads wait for such locks.
    """
    if lock.acquire(blocking=False):
        return True
    if not _pace.slow:
        return lock.acquire(timeout=seconds)
    if not _WAITING.acquire(blocking=False):
        return False
    try:
        return lock.acquire(timeout=seconds)
    finally:
        _WAITING.release()


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret in hexadecimal digits, which suffices for random secrets."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
