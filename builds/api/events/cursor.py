"""Event ids: they encode all events that a client has seen, so that ``Last-Event-ID`` resumes a stream."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta

from builds.selectors.events import Event, Kind
from mbs.errors import InvalidInput

#: Rows get their numbers when they are written, but become visible when their transaction commits, perhaps
#: in another order. When a row is older than this, all rows with lower numbers are visible.
SETTLE = timedelta(seconds=60)
#: Number ranges in an id. Browsers and proxies may refuse headers of many kilobytes.
_RANGES = 200
_PART = r"[0-9]{1,18}"
_LIST = rf"{_PART}(?:-{_PART})?(?:,{_PART}(?:-{_PART})?){{0,{_RANGES - 1}}}"
_SEEN = rf"({_PART})(?:\+({_LIST}))?"
_TEXT = re.compile(rf"s{_SEEN}\.c{_SEEN}\.l{_SEEN}\.b([a-z0-9-]{{1,40}})")
#: Numbers that the ranges of an id may cover: more than the rows of a build within ``SETTLE``.
_MOST = 20_000


class SeenRows:
    """The rows of one kind that were seen: all up to ``floor``, and number ranges above it.

    Each range has the time of its newest row. Ranges are kept in arrays of machine numbers, at most as many
    as an id may list: a client takes a few kilobytes, whatever it claims to have seen.
    """

    def __init__(self, floor: int = 0) -> None:
        self.floor = floor
        self._first, self._last = array("q"), array("q")
        #: Time of the newest row of each range, in seconds since 1970.
        self._newest = array("d")

    def __contains__(self, number: int) -> bool:
        if number <= self.floor:
            return True
        place = bisect_right(self._first, number) - 1
        return place >= 0 and number <= self._last[place]

    def add(self, number: int, time: datetime, now: datetime) -> None:
        """Add a row. Rows must come in the order of their numbers, except those younger than ``SETTLE``."""
        if time < now - SETTLE:
            self.floor = max(self.floor, number)
        else:
            self.add_range(number, number, time)

    def add_range(self, first: int, last: int, time: datetime) -> None:
        """Add all rows of a range, and join it with adjacent ones.

        Above ``_RANGES``, the highest ranges are dropped.
        """
        start, end = bisect_left(self._last, first - 1), bisect_right(self._first, last + 1)
        newest = max([time.timestamp(), *self._newest[start:end]])
        if start < end:
            first, last = min(first, self._first[start]), max(last, self._last[end - 1])
        self._first[start:end] = array("q", [first])
        self._last[start:end] = array("q", [last])
        self._newest[start:end] = array("d", [newest])
        self._keep(0, _RANGES)

    def settle(self, now: datetime) -> None:
        """Raise the floor to the newest row older than ``SETTLE``. All visible rows must have been seen."""
        settled = (now - SETTLE).timestamp()
        old = [last for last, newest in zip(self._last, self._newest, strict=True) if newest < settled]
        self.floor = max([self.floor, *old])
        self._keep(bisect_right(self._last, self.floor), _RANGES)

    def _keep(self, start: int, stop: int) -> None:
        if start or len(self._first) > stop:
            self._first = self._first[start:stop]
            self._last = self._last[start:stop]
            self._newest = self._newest[start:stop]

    def __str__(self) -> str:
        place = bisect_right(self._last, self.floor)
        pairs = zip(self._first[place:], self._last[place:], strict=True)
        listed = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in pairs)
        return f"{self.floor}+{listed}" if listed else str(self.floor)


class Cursor:
    """The events of one build that one client has seen.

    Its text form is ``s12.c340+342-345,350.l9.b2-building``: row numbers by kind, then the batch and its
    phase.
    """

    def __init__(self) -> None:
        self.seen = {kind: SeenRows() for kind in Kind}
        self.batch = "0"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the cursor that an event id encodes; for an empty id, one that has seen nothing.

        Raises:
            InvalidInput: The text is not an event id of this service.
        """
        cursor = cls()
        if not text:
            return cursor
        match = _TEXT.fullmatch(text)
        if match is None:
            raise InvalidInput(
                "The header Last-Event-ID is not an event id of this service.",
                code="invalid_event_id",
                hint="Leave it out to get all events of the build.",
            )
        *parts, cursor.batch = match.groups()
        now = datetime.now(UTC)
        for kind, floor, listed in zip(Kind, parts[::2], parts[1::2], strict=True):
            cursor.seen[kind] = SeenRows(int(floor))
            for first, last in _ranges(listed or ""):
                cursor.seen[kind].add_range(first, last, now)
        return cursor

    def has(self, event: Event) -> bool:
        """Return whether an event was seen."""
        return event.number in self.seen[event.kind]

    def add(self, event: Event, now: datetime) -> None:
        """Note that an event was seen."""
        self.seen[event.kind].add(event.number, event.time, now)

    def settle(self, now: datetime) -> None:
        """Call ``SeenRows.settle`` for each kind."""
        for seen in self.seen.values():
            seen.settle(now)

    def __str__(self) -> str:
        return "".join(f"{kind[0]}{seen}." for kind, seen in self.seen.items()) + f"b{self.batch}"


def _ranges(listed: str) -> list[tuple[int, int]]:
    """Return the ranges of a list.

    Raises:
        InvalidInput: They cover more numbers than a build can have, or are reversed.
    """
    parts = [part.partition("-") for part in filter(None, listed.split(","))]
    found = [(int(first), int(last or first)) for first, _, last in parts]
    if sum(last + 1 - first for first, last in found) > _MOST or any(last < first for first, last in found):
        raise InvalidInput("The header Last-Event-ID lists too many numbers.", code="invalid_event_id")
    return found
