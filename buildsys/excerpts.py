"""Find the lines of a build's log that explain why the build failed.

Logs are untrusted. A bounded part of a log is read line by line, and each line is cut before patterns are
applied. No pattern has nested repetitions.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from mbs.text import printable

#: Bytes at the end of a log that are searched; before them, lines are only counted.
SEARCHED = 2 << 20
#: Bytes of a log in which lines are counted; the number of a line is unknown in a longer one.
COUNTED = 256 << 20
#: Max lines to search, from the end.
_MAX_LINES = 200_000
#: Max bytes of a line that patterns are applied to, and max characters of a line in an excerpt.
_SEEN, _SHOWN = 1000, 300
#: Lines in an excerpt before and after the line with the cause.
AROUND = 5
_BLOCK = 1 << 16

#: Begin of a section of the spec file in rpmbuild's output. Earlier sections do not explain a failure.
_SECTION = re.compile(rb"Executing\(%\w+\): ")
#: Lines that name a cause, as tools write them.
_CAUSES = re.compile(
    rb"|".join(
        (
            # compilers and linkers: gcc, clang, javac, rustc, go, tsc, ld
            rb":\d+(?::\d+)?: (?:fatal )?error\b",
            rb"^error(?:\[E\d+\])?: (?!Bad exit status|Failed build dependencies)",
            rb": undefined reference to ",
            rb": cannot find -l",
            rb"\.go:\d+:\d+: ",
            rb"\berror TS\d+: ",
            # something is missing: rpm, dnf, configure, CMake, Meson, pkg-config, Perl, Python, shells
            rb"^\s+\S+(?: [<>=]+ \S+)? is needed by ",
            rb"^(?:Error: )?No matching package to install: ",
            rb"\bnothing provides ",
            rb"^Error: Unable to find a match",
            rb"\bBuild requirements are not met: ",
            rb"\bconfigure: error: ",
            rb"^CMake Error\b",
            rb"^\S*meson\.build:\d+:\d+: ERROR: ",
            rb"^(?:Package '?[\w.+-]+'?,? .*not found|No package '[\w.+-]+' found)",
            rb"^Can't locate \S+\.pm in @INC",
            rb"^(?:ModuleNotFoundError|ImportError): ",
            rb": command not found$",
            # rpm 4.20 itself runs a shell named ARG0 for the program file, which need not be installed.
            rb"^(?!ARG0: ).*: not found$",
            # tests: automake, CTest, TAP, pytest, unittest, go, cargo, googletest, Maven
            rb"^FAIL(?:ED)?:? ",
            rb"^--- FAIL: ",
            rb"\*\*\*Failed\b",
            rb"^\s*not ok \d+",
            rb"^test \S+ \.\.\. FAILED",
            rb"^\[  FAILED  \] ",
            rb"^\[ERROR\] ",
            rb"^(?:E   )?AssertionError\b",
        )
    )
)
#: Lines that do not name a cause, but are closer to it than the end of the log.
_SIGNS = re.compile(
    rb"^g?make(?:\[\d+\])?: \*\*\* |^Traceback \(most recent call last\)|\bERROR\b|\b[Ee]rror: (?!Bad exit)"
)
#: The end of rpmbuild's output, which repeats earlier errors, and lines that the service appends.
_END = re.compile(rb"^error: Bad exit status from |^RPM build errors:|^===== failed: rpmbuild ")


@dataclass(frozen=True)
class Excerpt:
    """The lines of a log that explain why a build failed, made printable and of bounded length.

    Attributes:
        log: Name of the log.
        line: Number of the line with the cause, from 1; None if it is unknown.
        place: Index of that line in ``lines``.
        lines: That line and its neighbors.
    """

    log: str
    line: int | None
    place: int
    lines: tuple[str, ...]

    @property
    def cause(self) -> str:
        """Return the line with the cause."""
        return self.lines[self.place].strip()


@runtime_checkable
class ExplainsFailures(Protocol):
    """A build system whose logs can be read."""

    def explain(self, task_ids: Sequence[int]) -> dict[int, Excerpt]:
        """Return excerpts of logs for failed submissions, where a log explains the failure."""


@dataclass(frozen=True)
class _Part:
    """Lines of a log.

    Attributes:
        before: Number of lines of the log before them; None if it is unknown.
    """

    lines: Sequence[bytes]
    before: int | None


def excerpt_of_file(path: Path, name: str = "") -> Excerpt | None:
    """Return the lines of a log file that explain a failure.

    Args:
        path: The log; links are not followed.
        name: Name to show; the name of the file if empty.

    Returns:
        The excerpt; None if the file cannot be read or is empty.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            return None
        size = state.st_size
        skipped = max(0, size - SEARCHED)
        before = _newlines(file, skipped) if skipped <= COUNTED else None
        file.seek(skipped)
        data = file.read(SEARCHED)
    if skipped:
        # The first line may be cut, so it is skipped.
        _, _, data = data.partition(b"\n")
        before = None if before is None else before + 1
    return excerpt(data, name or path.name, before=before)


def excerpt(data: bytes, name: str, *, before: int | None = 0) -> Excerpt | None:
    """Return the lines of a log that explain a failure.

    Args:
        data: The log, or its end, beginning with a whole line.
        name: Name of the log to show.
        before: Number of lines before ``data``; None if it is unknown.

    Returns:
        The excerpt; None if there is no line.
    """
    part = _last(data, before)
    place = _place(part.lines)
    if place is None:
        return None
    first = max(0, place - AROUND)
    shown = part.lines[first : place + AROUND + 1]
    return Excerpt(
        log=name,
        line=None if part.before is None else part.before + place + 1,
        place=place - first,
        lines=tuple(_text(line) for line in shown),
    )


def _newlines(file: BinaryIO, size: int) -> int:
    """Count the line breaks in the first bytes of a file."""
    found = 0
    while size > 0 and (block := file.read(min(_BLOCK, size))):
        found += block.count(b"\n")
        size -= len(block)
    return found


def _last(data: bytes, before: int | None) -> _Part:
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    over = max(0, len(lines) - _MAX_LINES)
    return _Part(lines[over:], None if before is None else before + over)


def _place(lines: Sequence[bytes]) -> int | None:
    """Return the index of the line with the cause.

    It is the first line of the last section that names a cause, otherwise a line near the end.
    """
    begin = next((n for n in range(len(lines) - 1, -1, -1) if _SECTION.match(lines[n][:_SEEN])), 0)
    end = next((n for n in range(begin, len(lines)) if _END.match(lines[n][:_SEEN])), len(lines))
    for pattern in (_CAUSES, _SIGNS):
        found = next((n for n in range(begin, end) if pattern.search(lines[n][:_SEEN])), None)
        if found is not None:
            return found
    if end < len(lines):
        return end
    return next((n for n in range(len(lines) - 1, -1, -1) if lines[n].strip()), None)


def _text(line: bytes) -> str:
    text = printable(line[: _SHOWN * 4].decode(errors="replace").rstrip(), "\t").expandtabs(8)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
