"""Typed access to the keys of a YAML mapping, which records every problem.

A reader reads each key of its schema and then calls ``close``, which reports unknown keys. Values are
interpreted like in libmodulemd: an empty value is an empty text; in place of a list of names, a single text
is a list of one and an empty text an empty list.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from mbs.modulemd.documents import Xmd
from mbs.modulemd.errors import Problems
from mbs.modulemd.nodes import Mapping, Node, Scalar, Sequence, clip, count, printable

_INTEGER = re.compile(r"[ \t\n\v\f\r]*([+-]?)([0-9]+)")
_LEADING_NUMBER = re.compile(r"\s*\+?([0-9]+)")

UINT64 = (0, 2**64 - 1)
INT64 = (-(2**63), 2**63 - 1)


class Fields:
    """The keys of one mapping.

    Args:
        path: Dotted path of the mapping, for messages.
        strict: Whether unknown keys are problems.
    """

    def __init__(self, node: Mapping, path: str, problems: Problems, strict: bool) -> None:
        self.path = path
        self.line = node.line
        self._node = node
        self._problems = problems
        self._strict = strict
        self._asked: set[str] = set()

    def strictly(self) -> Fields:
        """Return the same mapping, whose unknown keys are recorded as problems."""
        return Fields(self._node, self.path, self._problems, strict=True)

    def __contains__(self, key: str) -> bool:
        return key in self._node.items

    def problem(self, code: str, message: str, key: str = "", hint: str = "") -> None:
        """Record a problem with a key, or with the mapping itself."""
        self._problems.add(code, message, key=self.key(key), line=self.line_of(key), hint=hint)

    def key(self, key: str) -> str:
        """Return the dotted path of a key; of the mapping itself if the key is empty."""
        return f"{self.path}.{printable(key)}".removeprefix(".") if key else self.path

    def line_of(self, key: str) -> int:
        """Return the line of a key, or of the mapping if the key is missing."""
        return self._node.key_lines.get(key, self.line)

    def size(self) -> int:
        """Return the number of nodes in the mapping."""
        return count(self._node)

    def close(self) -> None:
        """Record a problem for each key that was not read."""
        for key in self._node.items if self._strict else ():
            if key not in self._asked:
                known = ", ".join(sorted(self._asked))
                self.problem(
                    "unknown_key",
                    f"{clip(key)} is not a key of {self.path or 'a document'}.",
                    key,
                    f"Known keys: {known}.",
                )

    def text(self, key: str) -> str | None:
        """Return the text of a scalar, or None if the key is missing."""
        node = self._take(key)
        if node is None or type(node) is Scalar:
            return node.text if node else None
        self._wrong(key, "a text")
        return None

    def boolean(self, key: str) -> bool:
        """Return whether a value is ``true``; a missing key means false."""
        text = self.text(key)
        if text not in (None, "true", "false"):
            self.problem(
                "invalid_value", f"{self.key(key)} must be true or false, not {clip(text or '')}.", key
            )
        return text == "true"

    def integer(self, key: str, bounds: tuple[int, int] = UINT64) -> int | None:
        """Return a decimal number within bounds, or None if the key is missing."""
        text = self.text(key)
        if text is None:
            return None
        number = _INTEGER.fullmatch(text)
        digits = number[2].lstrip("0") or "0" if number else ""
        value = int(number[1] + digits) if number and len(digits) <= 20 else None
        if value is None or not bounds[0] <= value <= bounds[1] or (text[0] == "-" and not bounds[0]):
            low, high = bounds
            self.problem(
                "invalid_value",
                f"{self.key(key)} must be an integer from {low} to {high}, not {clip(text)}.",
                key,
            )
            return None
        return value

    def buildorder(self) -> int:
        """Return the ``buildorder`` of a component; 0 if it is missing.

        libmodulemd once wrote negative numbers as unsigned ones. Such a number is accepted in metadata that
        is only read, but not in a submission.
        """
        bounds = INT64 if self._strict else (INT64[0], UINT64[1])
        number = self.integer("buildorder", bounds) or 0
        return number - 2**64 if number > INT64[1] else number

    def date(self, key: str) -> datetime.date | None:
        """Return a date written ``YYYY-MM-DD``, or None if the key is missing. Text after it is ignored."""
        text = self.text(key)
        if text is None:
            return None
        # libmodulemd reads each of the three numbers up to the first character that is not a digit.
        numbers = [found[1] for part in text.split("-", 3)[:3] if (found := _LEADING_NUMBER.match(part))]
        try:
            if len(numbers) == 3 and max(map(len, numbers)) < 10:
                year, month, day = map(int, numbers)
                return datetime.date(year, month, day)
        except ValueError:
            pass
        self.problem("invalid_value", f"{self.key(key)} must be a date YYYY-MM-DD, not {clip(text)}.", key)
        return None

    def names(self, key: str) -> list[str]:
        """Return a set of names, sorted."""
        node = self._take(key)
        if node is None:
            return []
        if type(node) is Scalar:
            return [node.text] if node.text else []
        found = (
            {item.text for item in node.items if type(item) is Scalar} if type(node) is Sequence else set()
        )
        if type(node) is not Sequence or any(type(item) is not Scalar for item in node.items):
            self._wrong(key, "a list of texts")
        return sorted(found)

    def tree(self, key: str) -> Xmd:
        """Return any value as mappings, lists and texts; None if the key is missing."""
        node = self._take(key)
        return None if node is None else plain(node)

    def mapping(self, key: str, *, empty: bool = False) -> Fields:
        """Return the fields of the mapping under a key; without the key, those of an empty mapping.

        Any other value is reported as a problem.

        Args:
            key: The key.
            empty: Whether an empty value counts as an empty mapping.
        """
        node = self._take(key)
        if type(node) is Mapping:
            return self._inner(node, self.key(key))
        if node is not None and not (empty and type(node) is Scalar and not node.text):
            self._wrong(key, "a mapping")
        return self._inner(Mapping(self.line_of(key)), self.key(key))

    def mappings(self) -> Iterator[tuple[str, Fields]]:
        """Yield each key of this mapping with the mapping that is its value."""
        for key in self._node.items:
            yield key, self.mapping(key)

    def __iter__(self) -> Iterator[str]:
        """Yield the keys of a mapping whose keys the author chooses."""
        return iter(self._node.items)

    def sequence(self, key: str) -> list[Fields]:
        """Return the fields of each mapping in a list."""
        node = self._take(key)
        if node is None:
            return []
        if type(node) is not Sequence or any(type(item) is not Mapping for item in node.items):
            self._wrong(key, "a list of mappings")
            return []
        return [
            self._inner(item, f"{self.key(key)}[{number}]")
            for number, item in enumerate(node.items)
            if type(item) is Mapping
        ]

    def _inner(self, node: Mapping, path: str) -> Fields:
        return Fields(node, path, self._problems, self._strict)

    def _take(self, key: str) -> Node | None:
        self._asked.add(key)
        return self._node.items.get(key)

    def _wrong(self, key: str, wanted: str) -> None:
        self.problem("invalid_type", f"{self.key(key)} must be {wanted}.", key)


def plain(node: Node) -> Xmd:
    """Return a node as dicts, lists and texts. ``nodes.MAX_DEPTH`` bounds its depth."""
    if type(node) is Mapping:
        return {key: plain(value) for key, value in node.items.items()}
    if type(node) is Sequence:
        return [plain(item) for item in node.items]
    return node.text if type(node) is Scalar else None
