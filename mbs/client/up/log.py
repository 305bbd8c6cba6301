"""One log for many processes: each line behind the name of the one that wrote it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO

import click

from mbs.text import printable

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow", "bright_magenta")
#: A line longer than this (characters) is broken: a child must not fill the memory.
LINE_LIMIT = 16_384


class LogLost(Exception):
    """Nobody reads the log: the terminal or the pipe is gone."""


class Log:
    """Writes prefixed lines, coloured on a terminal unless ``NO_COLOR`` is set (no-color.org).

    Args:
        names: Who writes; the supervisor itself is ``mbs``.
    """

    def __init__(self, stream: TextIO, names: Sequence[str]) -> None:
        everybody = ("mbs", *names)
        width = max(map(len, everybody))
        coloured = stream.isatty() and not os.environ.get("NO_COLOR")
        self._stream = stream
        self._prefixes = {
            name: click.style(f"{name:<{width}} | ", fg=colour) if coloured else f"{name:<{width}} | "
            for name, colour in zip(everybody, COLOURS * len(everybody), strict=False)
        }

    def write(self, name: str, line: str) -> None:
        """Write one line of ``name``, without control characters: strangers' texts pass here.

        Raises:
            LogLost: When it cannot be written; from then on lines go nowhere.
        """
        text = printable(line.rstrip(), "\t")
        try:
            self._stream.write(f"{self._prefixes[name]}{text}\n")
            self._stream.flush()
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # Python itself flushes the stream once more at its end
            os.close(nowhere)
            raise LogLost from error


class Lines:
    """Cuts the bytes of one process into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_LIMIT:
            lines.append(self._rest)
            self._rest = b""
        return [line.decode(errors="replace") for line in lines]

    def flush(self) -> list[str]:
        """What was left without an end of line."""
        rest, self._rest = self._rest, b""
        return [rest.decode(errors="replace")] if rest else []
