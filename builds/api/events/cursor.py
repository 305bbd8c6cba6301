"""What a watcher has seen: the id of each event, from which a stream is resumed (``Last-Event-ID``)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from builds.selectors.events import Event, Kind
from mbs.errors import InvalidInput

#: Rows are numbered when they are written and visible when they are committed, maybe in another order. A
#: row that is older than this has become visible, and so have all with lower numbers.
SETTLE = timedelta(seconds=60)
#: Ranges of numbers that an id may list: a browser or proxy may not take headers of many kilobytes.
_RANGES = 200
_PART = r"[0-9]{1,18}"
_LIST = rf"{_PART}(?:-{_PART})?(?:,{_PART}(?:-{_PART})?){{0,{_RANGES - 1}}}"
_SEEN = rf"({_PART})(?:\+({_LIST}))?"
_TEXT = re.compile(rf"s{_SEEN}\.c{_SEEN}\.l{_SEEN}\.b([a-z0-9-]{{1,40}})")
#: numbers that the ranges of an id may stand for: more than a build has rows in that time
_MOST = 20_000


@dataclass
class Seen:
    """Numbers of rows of one kind: all up to ``floor``, and single ones above it with their times."""

    floor: int = 0
    above: dict[int, datetime] = field(default_factory=dict)

    def __contains__(self, number: int) -> bool:
        return number <= self.floor or number in self.above

    def add(self, number: int, time: datetime, now: datetime) -> None:
        """Note a row; rows come in the order of their numbers, but for those younger than ``SETTLE``."""
        if time < now - SETTLE:
            self.floor = max(self.floor, number)
        else:
            self.above[number] = time

    def settle(self, now: datetime) -> None:
        """Raise the floor; only when everything that is visible has been seen."""
        settled = [number for number, time in self.above.items() if time < now - SETTLE]
        self.floor = max([self.floor, *settled])
        self.above = {number: time for number, time in self.above.items() if number > self.floor}

    def __str__(self) -> str:
        ranges = _ranges(number for number in sorted(self.above) if number > self.floor)
        listed = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges[:_RANGES])
        return f"{self.floor}+{listed}" if listed else str(self.floor)


def _ranges(numbers: Iterable[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


class Cursor:
    """What one watcher has seen of one build.

    As text ``s12.c340+342-345,350.l9.b2-building``: numbers of rows by kind, and the batch with its phase.
    """

    def __init__(self) -> None:
        self.seen = {kind: Seen() for kind in Kind}
        self.batch = "0"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor that an id stands for; an empty one: nothing was seen.

        :raises InvalidInput: it was not made here.
        """
        cursor = cls()
        if not text:
            return cursor
        match = _TEXT.fullmatch(text)
        if match is None:
            raise InvalidInput(
                "The header Last-Event-ID is none of the ids that this service sends.",
                code="invalid_event_id",
                hint="Leave it out to get all events of the build.",
            )
        *parts, cursor.batch = match.groups()
        now = datetime.now(UTC)
        for kind, floor, listed in zip(Kind, parts[::2], parts[1::2], strict=True):
            cursor.seen[kind] = Seen(int(floor), dict.fromkeys(_numbers(listed or ""), now))
        return cursor

    def has(self, event: Event) -> bool:
        return event.number in self.seen[event.kind]

    def add(self, event: Event, now: datetime) -> None:
        self.seen[event.kind].add(event.number, event.time, now)

    def settle(self, now: datetime) -> None:
        """See ``Seen.settle``."""
        for seen in self.seen.values():
            seen.settle(now)

    def __str__(self) -> str:
        return "".join(f"{kind[0]}{seen}." for kind, seen in self.seen.items()) + f"b{self.batch}"


def _numbers(listed: str) -> list[int]:
    """The numbers of ranges.

    :raises InvalidInput: they are more than any build could have had lately.
    """
    found: list[int] = []
    for part in filter(None, listed.split(",")):
        first, _, last = part.partition("-")
        end = int(last or first) + 1
        if len(found) + end - int(first) > _MOST:
            raise InvalidInput("The header Last-Event-ID lists too many numbers.", code="invalid_event_id")
        found.extend(range(int(first), end))
    return found
