"""Files as bodies of requests and answers, read and written without holding a thread or much memory."""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.conf import settings

from builds.api.serving.types import Send

#: bytes of a file that are in memory at once
PART = 64 * 1024
#: Reads and writes of one part each: none of these threads ever waits for a client.
_threads = ThreadPoolExecutor(4, thread_name_prefix="files")


class Budget:
    """A total of bytes that may be in use at once, over all connections of this process."""

    def __init__(self) -> None:
        self.used = 0

    def take(self, size: int) -> bool:
        """Reserve bytes; whether there were as many left."""
        if self.used + size > settings.MBS.BODIES_LIMIT:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """End a reservation."""
        self.used -= size


#: bodies of requests and answers that are on disk
budget = Budget()


def folder() -> Path:
    """The folder of bodies that are too large for memory; the files in it have no names."""
    place: Path = settings.MBS.CACHE_DIR / "bodies"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


async def in_thread(work: Any, *values: Any) -> Any:
    """Do one short piece of work on a file in a thread."""
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *values)


async def on_disk(data: bytes | memoryview) -> Any:
    """A file that holds these bytes and is read from its beginning."""

    def write() -> Any:
        file = tempfile.TemporaryFile(dir=folder())  # noqa: SIM115  (whoever gets it closes it)
        file.write(data)
        file.seek(0)
        return file

    return await in_thread(write)


async def send(file: Any, sender: Send, *, more_body: bool = False) -> None:
    """Send the rest of an open file as the end of an answer, and close it.

    Args:
        more_body: Something of the answer follows.
    """
    try:
        while part := await in_thread(file.read, PART):
            await sender({"type": "http.response.body", "body": part, "more_body": True})
        await sender({"type": "http.response.body", "body": b"", "more_body": more_body})
    finally:
        await in_thread(file.close)
