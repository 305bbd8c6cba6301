"""A common log of several processes, with the name of the process before each line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO

import click

from mbs.text import printable

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow", "bright_magenta")
#: Longer lines are split, which limits the memory for a child's output.
LINE_LIMIT = 16_384


class LogLost(Exception):
    """The log cannot be written, since its terminal or pipe is closed."""


class Log:
    """Writes lines with a prefix, coloured on a terminal unless ``NO_COLOR`` is set (no-color.org).

    Args:
        names: Names of the programs. The supervisor itself is ``mbs``.
    """

    def __init__(self, stream: TextIO, names: Sequence[str]) -> None:
        writers = ("mbs", *names)
        width = max(map(len, writers))
        coloured = stream.isatty() and not os.environ.get("NO_COLOR")
        self._stream = stream
        self._prefixes = {
            name: click.style(f"{name:<{width}} | ", fg=colour) if coloured else f"{name:<{width}} | "
            for name, colour in zip(writers, COLOURS * len(writers), strict=False)
        }

    def write(self, name: str, line: str) -> None:
        """Write a line of a program, without control characters, since it may contain untrusted text.

        Raises:
            LogLost: It cannot be written. Later lines are discarded.
        """
        text = printable(line.rstrip(), "\t")
        try:
            self._stream.write(f"{self._prefixes[name]}{text}\n")
            self._stream.flush()
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(
                nowhere, self._stream.fileno()
            )  # otherwise Python fails when it flushes the stream at exit
            os.close(nowhere)
            raise LogLost from error


class Lines:
    """Splits the output of a process into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_LIMIT:
            lines.append(self._rest)
            self._rest = b""
        return [line.decode(errors="replace") for line in lines]

    def flush(self) -> list[str]:
        """Return the last line, if it has no line end."""
        rest, self._rest = self._rest, b""
        return [rest.decode(errors="replace")] if rest else []
