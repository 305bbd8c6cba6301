"""Compare two texts line by line, for display side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher

from mbs.text import printable

#: Lines of a text that are compared.
MAX_LINES = 5000
#: Pairs of equal lines that are examined, more than ordinary texts have. ``difflib`` takes about a second for
#: them. For texts made for it, it would take more than the square of their lines.
MAX_PAIRS = 10_000_000
#: Characters of a line that are shown.
MAX_LINE_LENGTH = 500
#: Equal lines around a difference that are shown.
AROUND = 3


@dataclass(frozen=True)
class Row:
    """One line of each text, or of one of them.

    Attributes:
        kind: ``same``, ``changed``, ``added``, ``removed``, or ``skipped`` for equal lines that are left out.
        old_number: Number of the old line, from 1; None if there is none.
        new_number: Number of the new line, likewise.
    """

    kind: str
    old: str = ""
    new: str = ""
    old_number: int | None = None
    new_number: int | None = None


class Matcher(SequenceMatcher[str]):
    """Finds equal lines until it has looked at ``MAX_PAIRS``; the rest counts as different.

    Args:
        old: The lines of a text, and ``new`` those of another.

    Attributes:
        pairs: How many pairs of lines it has looked at.
    """

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        super().__init__(None, old, new)
        self.pairs = 0
        self._old = old

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> Match:
        """Return the longest run of equal lines, or an empty one when there was too much to look at."""
        if self.pairs > MAX_PAIRS:
            return Match(alo, blo, 0)
        # The stubs lack this documented attribute.
        places: Mapping[str, Sequence[int]] = self.b2j  # type: ignore[attr-defined]  # see above
        self.pairs += sum(1 + len(places.get(line, ())) for line in self._old[alo:ahi])
        return super().find_longest_match(alo, ahi, blo, bhi)


def comparable(*texts: str) -> bool:
    """Return whether texts are short enough to be compared."""
    return all(text.count("\n") < MAX_LINES for text in texts)


def rows(old: str, new: str) -> list[Row]:
    """Return the lines around the differences of two texts; nothing when they are equal.

    Args:
        old: A text that is ``comparable``, and ``new`` another.
    """
    olds, news = _lines(old), _lines(new)
    # Equal ends are by far the most lines, and need no search.
    start = _common(olds, news)
    end = _common(olds[start:][::-1], news[start:][::-1])
    inner_old, inner_new = olds[start : len(olds) - end], news[start : len(news) - end]
    if not inner_old and not inner_new:
        return []
    matcher = Matcher(inner_old, inner_new)
    found: list[Row] = list(_same(olds, 0, 0, start))
    for tag, low, high, first, last in matcher.get_opcodes():
        if tag == "equal":
            found += _same(olds, start + low, start + first, high - low)
        else:
            found += _different(olds, news, (start + low, start + high), (start + first, start + last))
    found += _same(olds, len(olds) - end, len(news) - end, end)
    return list(_shortened(found))


def _lines(text: str) -> list[str]:
    """Return the lines of a text; only line feeds end them, as ``comparable`` counts."""
    return text.removesuffix("\n").split("\n") if text else []


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many lines two texts begin with in common."""
    for number, (old, new) in enumerate(zip(one, other, strict=False)):
        if old != new:
            return number
    return min(len(one), len(other))


def _same(lines: Sequence[str], old: int, new: int, count: int) -> Iterator[Row]:
    for number in range(count):
        text = _cut(lines[old + number])
        yield Row("same", text, text, old + number + 1, new + number + 1)


def _different(
    olds: Sequence[str], news: Sequence[str], old: tuple[int, int], new: tuple[int, int]
) -> Iterator[Row]:
    pairs = min(old[1] - old[0], new[1] - new[0])
    for number in range(pairs):
        here, there = old[0] + number, new[0] + number
        yield Row("changed", _cut(olds[here]), _cut(news[there]), here + 1, there + 1)
    for number in range(old[0] + pairs, old[1]):
        yield Row("removed", old=_cut(olds[number]), old_number=number + 1)
    for number in range(new[0] + pairs, new[1]):
        yield Row("added", new=_cut(news[number]), new_number=number + 1)


def _cut(line: str) -> str:
    shown = printable(line[:MAX_LINE_LENGTH], "\t")
    return shown if len(line) <= MAX_LINE_LENGTH else f"{shown} ..."


def _shortened(found: Sequence[Row]) -> Iterator[Row]:
    """Yield the rows without equal lines that are far from any difference."""
    near: set[int] = set()
    for number, row in enumerate(found):
        if row.kind != "same":
            near.update(range(number - AROUND, number + AROUND + 1))
    skipping = False
    for number, row in enumerate(found):
        if number in near:
            yield row
        elif not skipping:
            yield Row("skipped")
        skipping = number not in near
