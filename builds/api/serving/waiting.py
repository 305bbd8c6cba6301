"""Run what may wait for the build system in threads of its own, so that other requests do not wait with it.

The build system may be away for an hour. Without these threads, a few requests for its logs would occupy all
threads of a web process.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qsl
from weakref import WeakValueDictionary

from django.conf import settings

from builds.api.serving.deadlines import Gone
from builds.api.serving.places import RETRY_AFTER, Places, client_of
from builds.api.serving.types import Scope
from mbs.errors import MBSError, TooManyRequests, Unavailable

#: Requests that may wait: pages, text and events of logs, and final documents that must be created first.
_PATHS = re.compile(r"/builds/[^/]+/[^/]+/log(/events)?/?|/module-build-service/[^/]+/final-modulemd/.*")
#: Filter that asks the build system for an RPM.
_RPM = "rpm"
#: Key in the environment of a WSGI request: the error with which the request is refused.
REFUSAL = "mbs.refusal"
#: Threads of a process, and how many of them one client may have at the same time.
_THREADS, _SHARE = 8, 2
#: Max requests that wait, or are being answered, in a process, and for one client.
_REQUESTS, _REQUESTS_OF_CLIENT = 400, 20

Result = TypeVar("Result")
_threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="build system")
_requests = Places(_REQUESTS, _REQUESTS_OF_CLIENT)


class Turns:
    """Let each client do a limited number of things at the same time; further ones wait for their turn.

    Args:
        share: Number of things. A client without an address has no limit.
    """

    def __init__(self, share: int) -> None:
        self._share = share
        self._clients: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, client: str) -> AsyncIterator[None]:
        """Wait for a turn of a client, and hold it until the context ends."""
        if not client:
            yield
            return
        # The dictionary keeps a semaphore as long as a request holds it or waits for it.
        async with self._clients.setdefault(client, asyncio.Semaphore(self._share)):
            yield


_turns = Turns(_SHARE)


def may_wait(scope: Scope) -> bool:
    """Return whether a request may wait for the build system."""
    if _PATHS.fullmatch(scope["path"]):
        return True
    query, most = scope["query_string"].decode("latin-1"), settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    try:
        return any(name == _RPM for name, _ in parse_qsl(query, keep_blank_values=True, max_num_fields=most))
    except ValueError:  # Django refuses the request
        return False


def turn(scope: Scope) -> AbstractAsyncContextManager[None]:
    """Wait for a turn of the client of a request, and hold it until the context ends."""
    return _turns.take(client_of(scope))


async def in_thread(work: Callable[..., Result], *values: Any) -> Result:
    """Run work that may wait for the build system in a thread, during a turn of a client.

    Args:
        work: The function.
        values: Its arguments.
    """
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *values)


async def run(scope: Scope, work: Callable[..., Result], *values: Any) -> Result:
    """Run work that may wait for the build system, in a thread, when it is the client's turn.

    Args:
        scope: The request that it is for.
        work: The function.
        values: Its arguments.
    """
    async with turn(scope):
        return await in_thread(work, *values)


def refusal(scope: Scope) -> MBSError | None:
    """Return an error if the client of a request, or all clients together, have too many that wait."""
    if _requests.greedy(scope):
        return TooManyRequests(
            "This address has too many requests that wait for the build system.",
            retry_after=RETRY_AFTER,
            hint="Wait for their answers, and try again.",
        )
    if _requests.full:
        return Unavailable(
            "Too many requests wait for the build system.", code="busy", hint="Try again in a minute."
        )
    return None


async def answer(scope: Scope, work: Callable[..., Result], *values: Any) -> Result:
    """Run a request that may wait for the build system, and that was not refused: see ``run``.

    Raises:
        Gone: The client has disconnected while the request waited for its turn.
    """
    with _requests.take(scope):
        async with turn(scope):
            connection = scope.get("state", {}).get("connection")
            if connection is not None and connection.lost:
                raise Gone
            return await in_thread(work, *values)
