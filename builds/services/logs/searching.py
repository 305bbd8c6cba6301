"""Search a log for a text, from an offset on, for a bounded time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from builds.services.logs.lines import Line, index_of
from builds.services.logs.reading import PIECE, Log

#: Max lines that one search returns.
MAX_HITS = 100
#: Max bytes of a line in the results, and of the text to search for.
_SHOWN, MAX_TEXT = 4096, 200


@dataclass(frozen=True)
class Found:
    """Lines in which a text occurs.

    Attributes:
        lines: At most ``MAX_HITS`` lines.
        stop: Offset up to which the log was searched.
        over: Whether the search reached the end of the log.
    """

    lines: Sequence[Line]
    stop: int
    over: bool


def search(log: Log, text: str, start: int, deadline: float) -> Found:
    """Find the lines that contain a text; ASCII letters match in either case.

    Args:
        log: The log to search.
        text: The text, without line breaks.
        start: Offset of the line where the search begins.
        deadline: Value of ``time.monotonic()`` at which the search stops; at least one piece is searched.
    """
    wanted = text.encode()[:MAX_TEXT].lower()
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
            if len(lines) == MAX_HITS:
                return Found(lines, end, over=end >= log.size)
        number = None if number is None else number + data.count(b"\n", 0, whole)
        carry = data[whole:]
        if time.monotonic() > deadline and place < log.size:
            return Found(lines, place - len(carry), over=False)
    return Found(lines, log.size, over=True)


def _matching(data: bytes, wanted: bytes, begin: int, number: int | None) -> Sequence[tuple[Line, int]]:
    """Return the lines of some data that contain a text, each with the offset after it."""
    lowered, found, place, counted = data.lower(), list[tuple[Line, int]](), 0, 0
    while len(found) < MAX_HITS and (place := lowered.find(wanted, place)) >= 0:
        first = data.rfind(b"\n", 0, place) + 1
        last = data.find(b"\n", place)
        last = len(data) if last < 0 else last
        if number is not None:
            number, counted = number + data.count(b"\n", counted, first), first
        # Return the part of a long line that contains the text.
        shown = max(first, place - _SHOWN // 2) if last - first > _SHOWN else first
        found.append((Line(begin + first, data[shown : min(last, shown + _SHOWN)], number), begin + last + 1))
        place = last + 1
    return found
