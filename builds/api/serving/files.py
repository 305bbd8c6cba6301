"""Keep large bodies of requests and answers in files, without blocking a thread on a client."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.conf import settings

from builds.api.serving.types import Send

#: Bytes of a file that are in memory at once.
PART = 64 * 1024
#: These threads only read and write single parts. They never wait for a client.
_threads = ThreadPoolExecutor(4, thread_name_prefix="files")


class Budget:
    """Limits the bytes that all connections of this process may use at once (``BODIES_LIMIT``)."""

    def __init__(self) -> None:
        self.used = 0

    def take(self, size: int) -> bool:
        """Reserve bytes, and return whether they were available."""
        if self.used + size > settings.MBS.BODIES_LIMIT:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """Release reserved bytes."""
        self.used -= size


#: The bodies of requests and answers on disk.
budget = Budget()


def folder() -> Path:
    """Return the folder for large bodies. Its files have no names."""
    place: Path = settings.MBS.CACHE_DIR / "bodies"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


async def in_thread(work: Any, *values: Any) -> Any:
    """Run one short file operation in a thread."""
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *values)


async def on_disk(data: bytes | memoryview) -> Any:
    """Return a temporary file with these bytes, positioned at its beginning."""

    def write() -> Any:
        file = tempfile.TemporaryFile(dir=folder())  # noqa: SIM115  (the caller closes it)
        file.write(data)
        file.seek(0)
        return file

    return await in_thread(write)


async def send(
    file: Any, sender: Send, *, more_body: bool = False, run: Callable[..., Awaitable[Any]] = in_thread
) -> None:
    """Send the rest of an open file as the body of an answer, and close the file.

    Args:
        file: The file.
        sender: Sends an ASGI message.
        more_body: Whether further parts of the body follow.
        run: Reads a part in a thread.
    """
    try:
        while part := await run(file.read, PART):
            await sender({"type": "http.response.body", "body": part, "more_body": True})
        await sender({"type": "http.response.body", "body": b"", "more_body": more_body})
    finally:
        await in_thread(file.close)
