"""Lines of a log: their numbers, the phases that they belong to, and windows of bounded size.

The number of a line is known once all that is before it has been counted. Counting is bounded by time and
goes on where it was left, so that logs of any size can be shown at once, with or without numbers.
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

#: Bytes and lines of a window.
WINDOW, MOST_LINES = 96 * 1024, 1500
#: The line with which rpmbuild begins a phase of a build (rpm: build/build.cc, doScript).
PHASE = re.compile(rb"Executing\((%[a-z_]{1,40})\): ")
_PHASE_BEGINS = b"Executing(%"
#: Bytes of a piece's end that are looked at again with the next one, where such a line may go on.
_OVERLAP = 64
_MOST_PHASES = 200
#: Logs of which a process remembers where lines begin.
_KEPT = 500


@dataclass(frozen=True)
class Phase:
    """The beginning of a phase.

    Attributes:
        name: as rpmbuild writes it, ``%build``.
        line: number of the line that says so.
        offset: of that line.
    """

    name: str
    line: int
    offset: int


class LineIndex:
    """Numbers of lines of one log, as far as it has been counted. May be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: lines that end before each piece
        self._before = array("q", [0])
        self._tail = b""
        self._phases: list[Phase] = []

    @property
    def counted(self) -> int:
        """Number of bytes that have been counted, in whole pieces."""
        return (len(self._before) - 1) * PIECE

    def count(self, log: Log, offset: int, deadline: float) -> bool:
        """Count the pieces before an offset.

        Args:
            log: to read.
            offset: up to which the numbers of lines are needed.
            deadline: of ``time.monotonic()``, when to give up.

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
            room = _MOST_PHASES - len(self._phases)
            self._phases += _phases(data, self._tail, number * PIECE, before)[:room]
            self._tail = data[-_OVERLAP:]
            self._before.append(before + data.count(b"\n"))

    def number(self, log: Log, offset: int) -> int | None:
        """Return the number of the line that begins at an offset; None: it has not been counted."""
        piece = offset // PIECE
        if piece >= len(self._before):
            return None
        return self._before[piece] + log.piece(piece).count(b"\n", 0, offset % PIECE) + 1

    def offset(self, log: Log, line: int) -> int | None:
        """Return where a line begins; None: it has not been counted, or there is no such line."""
        piece = bisect_left(self._before, line - 1) - 1
        if piece < 0:
            return 0 if line == 1 else None
        rest, data = line - 1 - self._before[piece], log.piece(piece)
        if data.count(b"\n") < rest:
            return None
        offset = piece * PIECE + len(data) - len(data.split(b"\n", rest)[-1])
        return offset if offset < log.look().size else None

    def find(self, log: Log, line: int, deadline: float) -> int | None:
        """Return where a line begins, and count as far as that needs; None: see ``offset``, or no time."""
        while (offset := self.offset(log, line)) is None:
            counted = self.counted
            if not self.count(log, counted + PIECE, deadline) or self.counted == counted:
                return None
        return offset

    def phases(self, log: Log) -> list[Phase]:
        """Return the phases that are known, in the order of the log."""
        with self._lock:
            number, known, tail = len(self._before) - 1, list(self._phases), self._tail
        last = _phases(log.piece(number), tail, number * PIECE, self._before[number])
        return [*known, *last][:_MOST_PHASES]


@lru_cache(maxsize=_KEPT)
def _index(key: Hashable) -> LineIndex:
    return LineIndex()


def index_of(log: Log) -> LineIndex:
    """Return the index of a log, which all requests of a process share."""
    return _index(log.key)


def _phases(data: bytes, tail: bytes, start: int, before: int) -> list[Phase]:
    """Return the phases that begin in a piece, or at the end of the one before it.

    Args:
        data: the piece.
        tail: the end of the one before.
        start: offset of the piece.
        before: number of lines that end before it.
    """
    text, found = tail + data, list[Phase]()
    place, counted, lines = 0, len(tail), before
    while len(found) < _MOST_PHASES and (place := text.find(_PHASE_BEGINS, place)) >= 0:
        match = PHASE.match(text, place)
        begins = text[place - 1 : place] == b"\n" or place == start == 0
        if match and begins and match.end() > len(tail):
            # A line that begins at the end of the piece before is counted there.
            lines += text.count(b"\n", counted, place) - text.count(b"\n", place, counted)
            counted = place
            found.append(Phase(match[1].decode(), lines + 1, start - len(tail) + place))
        place += 1
    return found


@dataclass(frozen=True)
class Line:
    """A line of a log, without its end.

    Attributes:
        offset: of its first byte.
        data: all its bytes that are in the window.
        number: counted from 1; None: not counted.
    """

    offset: int
    data: bytes
    number: int | None


@dataclass(frozen=True)
class Window:
    """Consecutive lines of a log.

    Attributes:
        start: offset of the first byte.
        stop: offset behind the last byte.
        lines: the lines.
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
    """Return the window that ends with the last line which ends at or before an offset."""
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
    """Return data without its last line, where that goes on behind it or is still being written."""
    at_end = start + len(data) >= log.size
    end = data.rfind(b"\n") + 1
    if at_end and log.complete:
        return data
    return data[:end] if end or (at_end and len(data) < WINDOW) else data


def numbered(start: int, data: bytes, number: int | None) -> Window:
    """Return the lines of some data as a window.

    Args:
        start: offset of the data.
        data: whole lines; of an unfinished last line there may be a part.
        number: of the first line; None: not counted.
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
    if data.count(b"\n") <= MOST_LINES:
        return data
    return data[: len(data) - len(data.split(b"\n", MOST_LINES)[-1])]


def _last_lines(data: bytes) -> bytes:
    lines = data.count(b"\n") - data.endswith(b"\n") + 1
    return data if lines <= MOST_LINES else data.split(b"\n", lines - MOST_LINES)[-1]
