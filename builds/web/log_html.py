"""Render lines of a log as HTML: escaped, of bounded length, with colors as classes, grouped by phase.

Logs contain the output of untrusted builds. The only control sequences with an effect are those that set
colors and weights of text (ECMA-48, 8.3.117, "Select graphic rendition"). Others are removed, and other
unprintable characters are written as escapes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from django.utils.safestring import SafeString, mark_safe

from builds.services.logs.lines import PHASE, Line
from mbs.text import printable

#: Max characters of a line.
MAX_CHARACTERS = 2000
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
    """The colors and weights at a position of a log.

    Attributes:
        weights: Names of classes.
        text: Class of the text color; empty for the page's.
        ground: Class of the background color; empty for the page's.
    """

    weights: set[str] = field(default_factory=set)
    text: str = ""
    ground: str = ""

    def apply(self, parameters: str) -> None:
        """Apply a control sequence."""
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
        """Return the value of the attribute ``class``; empty for plain text."""
        return " ".join(filter(None, [*sorted(self.weights), self.text, self.ground]))


def _extended(rest: list[int]) -> int | None:
    """Read the parameters of a palette or RGB color. Only the first 16 palette colors have a class."""
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
        phase: Name of the phase; empty before the first phase, or if it is unknown.
        first: Number of the first line; None if it has not been counted.
        count: Number of lines.
        html: The lines as HTML.
    """

    phase: str
    first: int | None
    count: int
    html: SafeString


def groups(lines: Sequence[Line], style: Style, address: str, phase: str = "") -> list[Group]:
    """Return lines as groups of HTML, one for each phase.

    Args:
        lines: Consecutive lines.
        style: The style before the first line; updated to the style after the last line.
        address: URL of the page, to which the number of a line can be appended.
        phase: Phase of the first line.
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
    """Return a line as HTML, without its line break.

    Args:
        data: The line.
        style: The style before the line; updated to the style after it.
    """
    more = max(len(data) - 4 * MAX_CHARACTERS, 0)
    text = data[: 4 * MAX_CHARACTERS].decode("utf-8", "replace").rstrip("\r")
    # A carriage return makes terminals overwrite the line, so only the last state of a progress bar counts.
    text = text.rpartition("\r")[2]
    more, text = more + max(len(text) - MAX_CHARACTERS, 0), text[:MAX_CHARACTERS]
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
