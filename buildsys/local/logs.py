"""The log of a build, with a limited size."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_TAIL = 64 * 1024


class BoundedLog:
    """Appends to a file up to a limit. Of the output beyond it, only the end is kept."""

    def __init__(self, path: Path, limit: int) -> None:
        self._file: BinaryIO = path.open("ab")
        self._left = limit
        self._cut = 0
        self._tail = b""
        self._recent = b""

    def write(self, data: bytes) -> None:
        """Add output of the build."""
        self._recent = (self._recent + data)[-4096:]
        self._file.write(data[: self._left])
        self._file.flush()
        over = data[self._left :]
        self._left -= len(data) - len(over)
        self._cut += len(over)
        self._tail = (self._tail + over)[-_TAIL:]

    def say(self, line: str) -> None:
        """Add a line of the service."""
        self.write(f"\n===== {line}\n".encode())

    def recent(self) -> list[str]:
        """Return the last few lines."""
        return self._recent.decode(errors="replace").split("\n")

    def close(self) -> None:
        """Write the end of the output and close the file."""
        missing = self._cut - len(self._tail)
        if missing:
            self._file.write(f"\n\n===== log cut: {missing} bytes left out here\n\n".encode())
        self._file.write(self._tail)
        self._file.close()

    def __enter__(self) -> BoundedLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
