"""Texts of strangers where they are shown: on a terminal, in a line of a log, in a header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: Digits of one number in a name; longer ones are compared as text.
_NUMBER = re.compile(r"([0-9]{1,18})")


def printable(text: object, keep: str = "") -> str:
    r"""Return a text in which nothing acts on a terminal or begins another line.

    Control characters, separators of lines, marks that change the direction of writing, and whatever else is
    not printable are written as in a Python string: ``\n``, ``\x1b``, ``\u202e``.

    :param keep: characters that stay as they are.
    """
    told = text if isinstance(text, str) else str(text)
    if told.isprintable():
        return told
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode()
        for each in told
    )


def printable_values(value: Any) -> Any:
    """Return the same JSON with all texts in it printable, keys included."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(key): printable_values(item) for key, item in value.items()}
    return [printable_values(item) for item in value] if isinstance(value, list) else value


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts names as people do: ``c2`` comes before ``c10``."""
    parts = _NUMBER.split(text)
    return tuple(
        (0, int(part), "") if place % 2 else (1, 0, part) for place, part in enumerate(parts) if part
    )
