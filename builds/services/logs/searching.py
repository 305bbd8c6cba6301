"""Search a log for a text, from an offset on, for a bounded time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from builds.services.logs.lines import Line, index_of
from builds.services.logs.reading import PIECE, Log

#: Lines that one search finds at most.
MOST_HITS = 100
#: Bytes of a line that are kept of it, and bytes of the text that is searched for.
_SHOWN, MOST_TEXT = 4096, 200


@dataclass(frozen=True)
class Found:
    """Lines in which a text occurs.

    Attributes:
        lines: at most ``MOST_HITS``.
        stop: offset up to which was searched.
        over: the log ends there.
    """

    lines: Sequence[Line]
    stop: int
    over: bool


def search(log: Log, text: str, start: int, deadline: float) -> Found:
    """Find the lines that hold a text; letters of ASCII match in either case.

    Args:
        log: to search.
        text: to find, in one line.
        start: offset of the line to begin with.
        deadline: of ``time.monotonic()``, when to stop; at least one piece is searched.
    """
    wanted = text.encode()[:MOST_TEXT].lower()
    index, lines, carry = index_of(log), list[Line](), b""
    place = min(max(start, 0), log.look().size)
    number = index.number(log, place)
    while place < log.size:
        piece = log.read(place, (place // PIECE + 1) * PIECE)
        index.count(log, place + len(piece), 0 if number is None else time.monotonic() + 1)
        begin, data = place - len(carry), carry + piece
        place += len(piece)
        whole = len(data) if place >= log.size or len(data) > 2 * PIECE else data.rfind(b"\n") + 1
        for line, end in _matching(data[:whole], wanted, begin, number):
            lines.append(line)
            if len(lines) == MOST_HITS:
                return Found(lines, end, over=end >= log.size)
        number = None if number is None else number + data.count(b"\n", 0, whole)
        carry = data[whole:]
        if time.monotonic() > deadline and place < log.size:
            return Found(lines, place - len(carry), over=False)
    return Found(lines, log.size, over=True)


def _matching(data: bytes, wanted: bytes, begin: int, number: int | None) -> Sequence[tuple[Line, int]]:
    """Return the lines of some data that hold a text, each with the offset behind it."""
    lowered, found, place, counted = data.lower(), list[tuple[Line, int]](), 0, 0
    while len(found) < MOST_HITS and (place := lowered.find(wanted, place)) >= 0:
        first = data.rfind(b"\n", 0, place) + 1
        last = data.find(b"\n", place)
        last = len(data) if last < 0 else last
        if number is not None:
            number, counted = number + data.count(b"\n", counted, first), first
        # The part of a long line in which the text is.
        shown = max(first, place - _SHOWN // 2) if last - first > _SHOWN else first
        found.append((Line(begin + first, data[shown : min(last, shown + _SHOWN)], number), begin + last + 1))
        place = last + 1
    return found
