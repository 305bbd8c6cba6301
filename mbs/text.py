"""Make untrusted text safe to show on a terminal, in a log line or in a header; read and sort numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: Digits of one number in a name; longer ones are compared as text.
_NUMBER = re.compile(r"([0-9]{1,18})")


def printable(text: object, keep: str = "") -> str:
    r"""Escape characters that would control a terminal or begin another line.

    Control characters, line separators, marks that change the writing direction and other unprintable
    characters are written as in a Python string: ``\n``, ``\x1b``, ``\u202e``.

    Args:
        keep: Characters that stay unescaped.
    """
    shown = text if isinstance(text, str) else str(text)
    if shown.isprintable():
        return shown
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode()
        for each in shown
    )


def printable_values(value: Any) -> Any:
    """Return a JSON value with all texts in it printable, including keys."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(key): printable_values(item) for key, item in value.items()}
    return [printable_values(item) for item in value] if isinstance(value, list) else value


def whole_number(text: str) -> int | None:
    """Return the number that a text of 1 to 18 decimal digits is, which fits into 64 bits; otherwise None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts names as people do: ``c2`` comes before ``c10``."""
    parts = _NUMBER.split(text)
    return tuple(
        (0, int(part), "") if place % 2 else (1, 0, part) for place, part in enumerate(parts) if part
    )
