"""Lines of a log as HTML: escaped, of bounded length, with colours as classes, in groups by phase.

The bytes come from strangers' builds. Of their control sequences only colours and weights of text (ECMA-48,
8.3.117, "Select graphic rendition") have an effect; others are left out, and all else that is not printable
is written as an escape.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from django.utils.safestring import SafeString, mark_safe

from builds.services.logs.lines import PHASE, Line
from mbs.text import printable

#: Characters of a line that are shown.
LONGEST = 2000
#: Escape sequences (ECMA-48, 5.4 and 5.6): control sequences, command strings, and short ones.
_ESCAPES = re.compile(
    r"\x1b(?:"
    r"\[([0-9;:?<=>!]{0,60})[ -/]{0,4}([@-~])"
    r"|[\]P_X^][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)"
    r"|[ -/]{0,4}[0-~])"
)
_WEIGHTS = {1: "bold", 2: "faint", 3: "italic", 4: "underline"}
#: Parameters that end weights (22 to 24), and the weights that they end.
_ENDS = {22: ("bold", "faint"), 23: ("italic",), 24: ("underline",)}
_SPLIT = re.compile("[;:]")


@dataclass
class Style:
    """The colours and weights that hold at a place of a log.

    Attributes:
        weights: names of classes.
        text: class of the colour of the text; empty: the page's.
        ground: class of the colour behind it; empty: the page's.
    """

    weights: set[str] = field(default_factory=set)
    text: str = ""
    ground: str = ""

    def apply(self, parameters: str) -> None:
        """Change as a control sequence says."""
        numbers = [int(each) if each.isascii() and each.isdigit() else 0 for each in _SPLIT.split(parameters)]
        while numbers:
            number = numbers.pop(0)
            if number == 0:
                self.weights, self.text, self.ground = set(), "", ""
            elif number in _WEIGHTS:
                self.weights.add(_WEIGHTS[number])
            elif number in _ENDS:
                self.weights.difference_update(_ENDS[number])
            elif number in (38, 48):
                self._colour(number, _extended(numbers))
            elif number in (39, 49):
                self._colour(number, None)
            elif number // 10 in (3, 4) and number % 10 < 8:
                self._colour(number, number % 10)
            elif number // 10 in (9, 10) and number % 10 < 8:
                self._colour(number - 60, number % 10 + 8)

    def _colour(self, number: int, colour: int | None) -> None:
        kind = "t" if number < 40 else "g"
        name = "" if colour is None else f"{kind}{colour}"
        if kind == "t":
            self.text = name
        else:
            self.ground = name

    @property
    def classes(self) -> str:
        """The value of an attribute ``class``; empty: plain text."""
        return " ".join(filter(None, [*sorted(self.weights), self.text, self.ground]))


def _extended(rest: list[int]) -> int | None:
    """Take the parameters of one of 256 colours or of a mixed one; only the first 16 have a class."""
    if rest[:1] == [5]:
        colour = rest[1] if len(rest) > 1 and rest[1] < 16 else None
        del rest[:2]
        return colour
    del rest[:4]
    return None


@dataclass(frozen=True)
class Group:
    """Lines of one phase, as HTML.

    Attributes:
        phase: its name; empty: lines before the first phase, or of a phase that is not known.
        first: number of its first line; None: not counted.
        count: how many lines.
        html: the lines.
    """

    phase: str
    first: int | None
    count: int
    html: SafeString


def groups(lines: Sequence[Line], style: Style, address: str, phase: str = "") -> list[Group]:
    """Return lines as groups of HTML, one for each phase.

    Args:
        lines: consecutive lines.
        style: that holds before the first line; afterwards the one that holds behind the last.
        address: of the page, with a query that the number of a line can be added to.
        phase: that the first lines go on with.
    """
    found: list[tuple[str, list[Line]]] = []
    for line in lines:
        match = PHASE.match(line.data)
        if match or not found:
            found.append((match[1].decode() if match else phase, []))
        found[-1][1].append(line)
    rows = [(name, some, [_row(line, style, address) for line in some]) for name, some in found]
    return [
        Group(name, some[0].number, len(some), mark_safe("".join(html)))  # noqa: S308  (each row is escaped)
        for name, some, html in rows
    ]


def _row(line: Line, style: Style, address: str) -> str:
    if line.number is None:
        mark, query, shown = f"B{line.offset}", f"from={line.offset}", "·"
    else:
        mark, query, shown = f"L{line.number}", f"line={line.number}", str(line.number)
    link = f'<a href="{escape(address)}{query}#{mark}">{shown}</a>'
    return f'<span class="line" id="{mark}">{link}{text_html(line.data, style)}\n</span>'


def text_html(data: bytes, style: Style) -> str:
    """Return a line as HTML, without its end.

    Args:
        data: the line.
        style: that holds before it; afterwards the one behind it.
    """
    more = max(len(data) - 4 * LONGEST, 0)
    text = data[: 4 * LONGEST].decode("utf-8", "replace").rstrip("\r")
    # A carriage return has terminals write over the line: only the end of a progress bar was ever seen.
    text = text.rpartition("\r")[2]
    more, text = more + max(len(text) - LONGEST, 0), text[:LONGEST]
    parts, place = [], 0
    for match in _ESCAPES.finditer(text):
        parts.append(_styled(text[place : match.start()], style))
        place = match.end()
        if match[2] == "m":
            style.apply(match[1])
    parts.append(_styled(text[place:], style))
    if more:
        parts.append(f'<span class="cut">… {more} more characters</span>')
    return "".join(parts)


def _styled(text: str, style: Style) -> str:
    if not text:
        return ""
    shown = escape(printable(text, "\t"))
    classes = style.classes
    return f'<span class="{classes}">{shown}</span>' if classes else shown
