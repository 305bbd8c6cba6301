"""Texts of strangers where they are shown: on a terminal, in a line of a log, in a header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def printable(text: object, keep: str = "") -> str:
    r"""Return a text in which nothing acts on a terminal or begins another line.

    Control characters, separators of lines, marks that change the direction of writing, and whatever else is
    not printable are written as in a Python string: ``\n``, ``\x1b``, ``\u202e``.

    Args:
        keep: Characters that stay as they are.
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
