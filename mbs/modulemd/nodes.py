"""Parse YAML into trees of nodes with line numbers, within limits.

The events of libyaml's parser are composed into three kinds of nodes. Types are not resolved: every scalar
is text. Nothing recurses, and limits are checked before memory is allocated (docs/contract/modulemd.md,
"Reading").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml
from yaml._yaml import CParser

from mbs.modulemd.errors import ModulemdError, Problems

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
#: Max characters of the author's text that a message repeats.
MAX_QUOTED = 80


@dataclass(slots=True)
class Scalar:
    """A scalar, as text."""

    text: str
    line: int


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """A mapping, with the line of each key."""

    line: int
    items: dict[str, Node] = field(default_factory=dict)
    key_lines: dict[str, int] = field(default_factory=dict)


Node: TypeAlias = Scalar | Sequence | Mapping


@dataclass(slots=True)
class Tree:
    """One YAML document.

    Attributes:
        root: None if the document violates a limit or a rule; see ``problems``.
        cut_off: Whether parsing stopped inside this document, so that it is the last of the file.
    """

    line: int
    root: Node | None = None
    problems: Problems = field(default_factory=Problems)
    cut_off: bool = False


def trees(text: str | bytes, most: int = MAX_BYTES) -> Iterator[Tree]:
    """Yield the documents of a file.

    A document that violates a limit is yielded without a root. A syntax error or too deep nesting ends the
    file, since deep nesting costs libyaml quadratic time.

    Args:
        most: Max bytes of the file.

    Raises:
        ModulemdError: ``too_large``, or ``not_yaml`` at a syntax error.
    """
    data = _encode(text, most)
    parser = CParser(data)
    try:
        while (event := parser.get_event()) is not None:
            if isinstance(event, yaml.DocumentStartEvent):
                yield (tree := _Composer(parser, _line(event)).compose())
                if tree.cut_off:
                    return
    except yaml.YAMLError as error:
        raise _not_yaml(error) from error
    finally:
        parser.dispose()


def _encode(text: str | bytes, most: int) -> bytes:
    problems = Problems()
    try:
        data = text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        problems.add("not_yaml", "The text contains a lone surrogate, which is not a character.")
        raise ModulemdError.of(problems.found) from error
    if len(data) > most:
        problems.add(
            "too_large",
            f"The file is larger than {most} bytes.",
            hint="Split it into files of fewer documents.",
        )
        raise ModulemdError.of(problems.found)
    return data


def _not_yaml(error: yaml.YAMLError) -> ModulemdError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    problems = Problems()
    problems.add("not_yaml", f"This is not YAML: {reason}.", line=mark.line + 1 if mark else None)
    return ModulemdError.of(problems.found)


def _line(event: yaml.Event) -> int:
    return int(event.start_mark.line) + 1  # type: ignore[union-attr]  # events of a parser have marks


class _Broken(Exception):
    """The document cannot be composed; the rest of it is skipped."""


class _Composer:
    """Composes one tree from the events up to the end of the document."""

    def __init__(self, parser: CParser, line: int) -> None:
        self.parser = parser
        self.tree = Tree(line)
        #: Open collections, outermost first, and for each mapping the key whose value comes next.
        self.open: list[Sequence | Mapping] = []
        self.keys: list[str | None] = []
        #: The path to each open collection, for messages.
        self.steps: list[str] = []

    def compose(self) -> Tree:
        """Return the tree of the current document."""
        while type(event := self._next()) is not yaml.DocumentEndEvent:
            try:
                self._take(event)
            except _Broken:
                self._skip_document()
                break
        return self.tree

    def _next(self) -> Any:
        return self.parser.get_event()

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._scalar(event.value, _line(event))
        elif kind is yaml.MappingStartEvent:
            self._start(Mapping(_line(event)))
        elif kind is yaml.SequenceStartEvent:
            self._start(Sequence(_line(event)))
        elif kind is yaml.AliasEvent:
            self._problem("alias", "An alias (*name) is not allowed: repeat the value.", _line(event))
            raise _Broken
        else:
            self.open.pop()
            self.keys.pop()
            self.steps.pop()

    def _scalar(self, text: str, line: int) -> None:
        if "\0" in text:
            self._problem("control_character", "A NUL character is not allowed.", line)
        parent = self.open[-1] if self.open else None
        if type(parent) is not Mapping or self.keys[-1] is not None:
            self._place(parent, Scalar(text, line))
        else:
            self._key(parent, text, line)

    def _key(self, parent: Mapping, key: str, line: int) -> None:
        self.keys[-1] = key
        if key in parent.items:
            first = parent.key_lines[key]
            self._problem("duplicate_key", f"{clip(key)} occurs a second time (first: line {first}).", line)
        else:
            parent.key_lines[key] = line

    def _start(self, node: Sequence | Mapping) -> None:
        parent = self.open[-1] if self.open else None
        if type(parent) is Mapping and self.keys[-1] is None:
            self._problem("not_a_scalar", "A key must be a scalar.", node.line)
        elif len(self.open) >= MAX_DEPTH:
            self._problem("too_deep", f"Collections are nested deeper than {MAX_DEPTH}.", node.line)
        else:
            self.steps.append(self._step())
            self._place(parent, node)
            self.open.append(node)
            self.keys.append(None)
            return
        self.tree.cut_off = len(self.open) >= MAX_DEPTH
        raise _Broken

    def _place(self, parent: Sequence | Mapping | None, node: Node) -> None:
        if parent is None:
            self.tree.root = node
        elif type(parent) is Sequence:
            parent.items.append(node)
        elif type(parent) is Mapping:
            # Keep the first of two values; the duplicate was recorded with its key.
            parent.items.setdefault(self.keys[-1] or "", node)
            self.keys[-1] = None

    def _skip_document(self) -> None:
        self.tree.root = None
        depth = len(self.open)
        while not self.tree.cut_off:
            kind = type(self._next())
            if kind is yaml.DocumentEndEvent:
                return
            depth += kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent)
            depth -= kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent)
            self.tree.cut_off = depth > MAX_DEPTH

    def _problem(self, code: str, message: str, line: int) -> None:
        path = "".join([*self.steps, self._step()]).removeprefix(".")
        self.tree.problems.add(code, message, key=path, line=line)

    def _step(self) -> str:
        """Return the step from the innermost open collection to the next node, for messages."""
        if not self.open:
            return ""
        inside = self.open[-1]
        if type(inside) is Sequence:
            return f"[{len(inside.items)}]"
        return f".{printable(self.keys[-1])}" if self.keys[-1] is not None else ""


def count(node: Node) -> int:
    """Return the number of scalars and collections in a tree, without keys."""
    if isinstance(node, Scalar):
        return 1
    inner = node.items.values() if isinstance(node, Mapping) else node.items
    return 1 + sum(count(each) for each in inner)


def clip(text: str) -> str:
    """Return ``text`` quoted for a message, shortened if it is long."""
    return repr(text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + "...")


def printable(text: str) -> str:
    """Return ``text``, escaped and shortened if it is long or has unprintable characters."""
    return text if len(text) <= MAX_QUOTED and text.isprintable() else clip(text)[1:-1]
