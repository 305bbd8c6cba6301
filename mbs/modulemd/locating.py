"""Find the lines of the keys that problems name, for checks that run after a document has been read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from mbs.errors import Problem
from mbs.modulemd.errors import ModulemdError
from mbs.modulemd.nodes import Mapping, Node, Sequence, trees

_INDEX = re.compile(r"\[(\d{1,9})\]")
_COMPONENTS = ("rpms", "modules")


class Locator:
    """Adds the missing line, key and component to problems of a document.

    Args:
        text: The document, or a file that holds it.
        index: Place of the document in the file, from 0.
    """

    def __init__(self, text: str | bytes, index: int = 0) -> None:
        try:
            tree = next(islice(trees(text), index, None), None)
        except ModulemdError:
            tree = None
        self._root = tree.root if tree and type(tree.root) is Mapping else None

    def locate(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return the problems with their lines.

        Args:
            problems: Problems with dotted keys, such as ``data.components.rpms.bash.ref``. If only
                the component is named, its key is added.

        Returns:
            The problems in their order. A key that the document lacks has the line of the nearest key above.
        """
        root = self._root
        return list(problems) if root is None else [_located(problem, root) for problem in problems]


def _located(problem: Problem, root: Mapping) -> Problem:
    key = problem.key or _key_of(problem.component, root)
    if not key:
        return problem
    names, line = _walk(root, key, root.line)
    below = names[:2] == ("data", "components") and len(names) > 3 and names[2] in _COMPONENTS
    component = problem.component or (names[3] if below else "")
    return replace(problem, key=key, line=problem.line or line, component=component)


def _key_of(component: str, root: Mapping) -> str:
    """Return the key of a component, or "" if the document has no such component."""
    keys = (f"data.components.{kind}.{component}" for kind in _COMPONENTS if component)
    return next((key for key in keys if len(_walk(root, key, 0)[0]) == 4), "")


def _walk(node: Node, path: str, line: int) -> tuple[tuple[str, ...], int]:
    """Follow a dotted path as far as it leads.

    Args:
        node: Where the path begins.
        path: The path. A name in it may itself contain dots.
        line: The line of the node.

    Returns:
        The names that were found, and the line of the last of them.
    """
    if type(node) is Sequence:
        return _walk_items(node, path, line)
    if type(node) is not Mapping or not path:
        return (), line
    ends = [match.start() for match in re.finditer(r"[.\[]|\Z", path)]
    name = next((path[:end] for end in reversed(ends) if path[:end] in node.items), None)
    if name is None:
        return (), line
    names, line = _walk(node.items[name], path[len(name) :].removeprefix("."), node.key_lines[name])
    return (name, *names), line


def _walk_items(node: Sequence, path: str, line: int) -> tuple[tuple[str, ...], int]:
    """Follow a path into the item that it numbers, otherwise into the one in which it leads farthest."""
    index, items = _INDEX.match(path), node.items
    if index:
        items, path = items[int(index[1]) :][:1], path[index.end() :].removeprefix(".")
        line = items[0].line if items else line
    found = [_walk(item, path, line) for item in items]
    return max(found, key=lambda result: len(result[0]), default=((), line))
