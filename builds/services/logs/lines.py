"""Divide a log into numbered lines, phases of rpmbuild, and windows of bounded size.

The number of a line is known after all lines before it have been counted. Counting is limited in time and
continues where it stopped, so a log of any size can be shown at once, with or without numbers.
"""

from __future__ import annotations

import re
import threading
import time
from array import array
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from builds.services.logs.reading import PIECE, Log

#: Max bytes and lines of a window.
WINDOW, MAX_LINES = 96 * 1024, 1500
#: The line with which rpmbuild begins a phase of a build (rpm: build/build.cc, doScript).
PHASE = re.compile(rb"Executing\((%[a-z_]{1,40})\): ")
_PHASE_BEGINS = b"Executing(%"
#: Bytes at the end of a piece that are searched again with the next one, where the line may continue.
_OVERLAP = 64
_MAX_PHASES = 200
#: Max logs whose line positions a process caches.
_KEPT = 500


@dataclass(frozen=True)
class Phase:
    """The beginning of a phase.

    Attributes:
        name: Name that rpmbuild writes, such as ``%build``.
        line: Number of the line that begins the phase.
        offset: Offset of that line.
    """

    name: str
    line: int
    offset: int


class LineIndex:
    """The positions of the counted lines of one log. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: lines that end before each piece
        self._before = array("q", [0])
        self._tail = b""
        self._phases: list[Phase] = []

    @property
    def counted(self) -> int:
        """Return the number of bytes that have been counted, in whole pieces."""
        return (len(self._before) - 1) * PIECE

    def count(self, log: Log, offset: int, deadline: float) -> bool:
        """Count the pieces before an offset.

        Args:
            log: The log to read.
            offset: Offset up to which line numbers are needed.
            deadline: Value of ``time.monotonic()`` at which counting stops.

        Returns:
            Whether the offset was reached.
        """
        while self.counted + PIECE <= offset:
            if time.monotonic() > deadline:
                return False
            number = len(self._before) - 1
            data = log.piece(number)
            if len(data) < PIECE:
                return True
            self._add(number, data)
        return True

    def _add(self, number: int, data: bytes) -> None:
        with self._lock:
            if number != len(self._before) - 1:
                return
            before = self._before[-1]
            room = _MAX_PHASES - len(self._phases)
            self._phases += _phases(data, self._tail, number * PIECE, before)[:room]
            self._tail = data[-_OVERLAP:]
            self._before.append(before + data.count(b"\n"))

    def number(self, log: Log, offset: int) -> int | None:
        """Return the number of the line that begins at an offset; None if it has not been counted."""
        piece = offset // PIECE
        if piece >= len(self._before):
            return None
        return self._before[piece] + log.piece(piece).count(b"\n", 0, offset % PIECE) + 1

    def offset(self, log: Log, line: int) -> int | None:
        """Return the offset of a line; None if it has not been counted or does not exist."""
        piece = bisect_left(self._before, line - 1) - 1
        if piece < 0:
            return 0 if line == 1 else None
        rest, data = line - 1 - self._before[piece], log.piece(piece)
        if data.count(b"\n") < rest:
            return None
        offset = piece * PIECE + len(data) - len(data.split(b"\n", rest)[-1])
        return offset if offset < log.look().size else None

    def find(self, log: Log, line: int, deadline: float) -> int | None:
        """Return the offset of a line, counting as far as necessary.

        Returns:
            The offset; None if the line does not exist or time ran out.
        """
        while (offset := self.offset(log, line)) is None:
            counted = self.counted
            if not self.count(log, counted + PIECE, deadline) or self.counted == counted:
                return None
        return offset

    def phases(self, log: Log) -> list[Phase]:
        """Return the phases found so far, in the order of the log."""
        with self._lock:
            number, phases, tail = len(self._before) - 1, list(self._phases), self._tail
        last = _phases(log.piece(number), tail, number * PIECE, self._before[number])
        return [*phases, *last][:_MAX_PHASES]


@lru_cache(maxsize=_KEPT)
def _index(key: Hashable) -> LineIndex:
    return LineIndex()


def index_of(log: Log) -> LineIndex:
    """Return the index of a log, which all requests of a process share."""
    return _index(log.key)


def _phases(data: bytes, tail: bytes, start: int, before: int) -> list[Phase]:
    """Return the phases that begin in a piece, or at the end of the one before it.

    Args:
        data: The piece.
        tail: End of the piece before it.
        start: Offset of the piece.
        before: Number of lines that end before the piece.
    """
    text, found = tail + data, list[Phase]()
    place, counted, lines = 0, len(tail), before
    while len(found) < _MAX_PHASES and (place := text.find(_PHASE_BEGINS, place)) >= 0:
        match = PHASE.match(text, place)
        begins = text[place - 1 : place] == b"\n" or place == start == 0
        if match and begins and match.end() > len(tail):
            # A line that begins at the end of the previous piece is counted there.
            lines += text.count(b"\n", counted, place) - text.count(b"\n", place, counted)
            counted = place
            found.append(Phase(match[1].decode(), lines + 1, start - len(tail) + place))
        place += 1
    return found


@dataclass(frozen=True)
class Line:
    """A line of a log, without its line break.

    Attributes:
        offset: Offset of its first byte.
        data: Its bytes, as far as they are in the window.
        number: Number of the line, from 1; None if it has not been counted.
    """

    offset: int
    data: bytes
    number: int | None


@dataclass(frozen=True)
class Window:
    """Consecutive lines of a log.

    Attributes:
        start: Offset of the first byte.
        stop: Offset after the last byte.
        lines: The lines.
    """

    start: int
    stop: int
    lines: Sequence[Line]


def window_from(log: Log, start: int) -> Window:
    """Return the window that begins at an offset; a line that is longer than a window is divided."""
    start = max(start, 0)
    data = _whole_lines(log, start, log.read(start, start + WINDOW))
    return _window(log, start, _first_lines(data))


def window_until(log: Log, stop: int) -> Window:
    """Return the window whose last line ends at or before an offset."""
    stop = min(stop, log.look().size)
    start = max(stop - WINDOW, 0)
    data = _whole_lines(log, start, log.read(start, stop))
    if start:
        first = data.find(b"\n") + 1
        if 0 < first < len(data):
            data, start = data[first:], start + first
    kept = _last_lines(data)
    return _window(log, start + len(data) - len(kept), kept)


def _whole_lines(log: Log, start: int, data: bytes) -> bytes:
    """Return data without its last line, if that line continues after the data or is still being written."""
    at_end = start + len(data) >= log.size
    end = data.rfind(b"\n") + 1
    if at_end and log.complete:
        return data
    return data[:end] if end or (at_end and len(data) < WINDOW) else data


def numbered(start: int, data: bytes, number: int | None) -> Window:
    """Return the lines of some data as a window.

    Args:
        start: Offset of the data.
        data: Whole lines; the last one may be incomplete.
        number: Number of the first line; None if it has not been counted.
    """
    lines, offset = [], start
    for text in data.split(b"\n")[: None if data and not data.endswith(b"\n") else -1]:
        lines.append(Line(offset, text.removesuffix(b"\r"), number))
        offset += len(text) + 1
        number = None if number is None else number + 1
    return Window(start, start + len(data), lines)


def _window(log: Log, start: int, data: bytes) -> Window:
    return numbered(start, data, index_of(log).number(log, start))


def _first_lines(data: bytes) -> bytes:
    if data.count(b"\n") <= MAX_LINES:
        return data
    return data[: len(data) - len(data.split(b"\n", MAX_LINES)[-1])]


def _last_lines(data: bytes) -> bytes:
    lines = data.count(b"\n") - data.endswith(b"\n") + 1
    return data if lines <= MAX_LINES else data.split(b"\n", lines - MAX_LINES)[-1]
