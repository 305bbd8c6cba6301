"""Limit the time of asynchronous work in synchronous code."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Threads(ThreadPoolExecutor):
    """Threads that an event loop does not wait for when it is closed."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end when they have nothing to do."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)


def run_within(seconds: float, work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in an event loop of its own, and return its result.

    The resolution of a host name, which nothing can interrupt, continues in a thread; ``asyncio.run`` alone
    would wait for it.

    Args:
        seconds: Seconds for all of the work.
        work: The coroutine.

    Raises:
        TimeoutError: The work took longer.
    """

    async def limited() -> Result:
        asyncio.get_running_loop().set_default_executor(_Threads(1))
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(limited())
