"""Read a log of the build system in pieces of equal size, and cache full pieces."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

from buildsys.logs import MAX_BYTES, LogPart, ReadsLogs

#: Bytes of a piece. A piece that is full never changes: logs only grow.
PIECE = MAX_BYTES
#: Full pieces of all logs that a process keeps in memory.
_KEPT = 24


class _Pieces:
    """The full pieces that were used most recently."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._pieces: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable) -> bytes | None:
        with self._lock:
            if key in self._pieces:
                self._pieces.move_to_end(key)
            return self._pieces.get(key)

    def keep(self, key: Hashable, data: bytes) -> None:
        with self._lock:
            self._pieces[key] = data
            if len(self._pieces) > self._most:
                self._pieces.popitem(last=False)


_pieces = _Pieces(_KEPT)


class Log:
    """A log of a submission, read by one request.

    All methods raise ``NoSuchLog``, or ``BuildSystemUnavailable`` if the build system does not answer.

    Args:
        system: The build system.
        task_id: Number of the submission.
        name: Name of the log.

    Attributes:
        key: Identifies the log.
        size: Size in bytes when the log was last read; valid after ``look``.
        complete: Whether nothing will be appended; valid after ``look``.
    """

    def __init__(self, system: ReadsLogs, task_id: int, name: str) -> None:
        self.key = (system, task_id, name)
        self.size = 0
        self.complete = False
        self._looked = False
        self._partial: dict[int, bytes] = {}

    def look(self) -> Log:
        """Read the current size, unless part of the log was read already; return this log."""
        if not self._looked:
            kept = _pieces.get((*self.key, 0)) is not None
            self._read(0, empty=kept)
        return self

    def piece(self, number: int) -> bytes:
        """Return the piece with a number, as far as it has been written: at most ``PIECE`` bytes."""
        if number in self._partial:
            return self._partial[number]
        kept = _pieces.get((*self.key, number))
        return self._read(number).data if kept is None else kept

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to ``stop``, as far as there are any."""
        start, stop = max(start, 0), min(stop, self.look().size)
        if start >= stop:
            return b""
        first, last = start // PIECE, (stop - 1) // PIECE
        data = b"".join(self.piece(number) for number in range(first, last + 1))
        return data[start - first * PIECE : stop - first * PIECE]

    def _read(self, number: int, *, empty: bool = False) -> LogPart:
        system, task_id, name = self.key
        start = number * PIECE
        part = system.read_log(task_id, name, start, start + (0 if empty else PIECE))
        if part.size >= self.size:
            self.size, self.complete, self._looked = part.size, part.complete, True
        if len(part.data) == PIECE:
            _pieces.keep((*self.key, number), part.data)
        elif not empty:
            self._partial[number] = part.data
        return part
