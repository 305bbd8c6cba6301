"""Draw the components of a build: a column for each batch or step, and the critical path."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from graphlib import CycleError, TopologicalSorter

from builds.models import ComponentBuild, ModuleBuild
from builds.web.timeline import state_word, took
from mbs.critical_path import Path, Work, critical_path

#: Max components and lines to draw.
MAX_NODES, MAX_EDGES = 150, 600
#: Sizes of a box and of the space around it, in pixels.
WIDTH, HEIGHT, ACROSS, BETWEEN, TOP = 168, 24, 44, 8, 24
#: Max characters of a text in a box.
MAX_LABEL = 21


@dataclass(frozen=True)
class Node:
    """A component, drawn as a box.

    Attributes:
        x: Left edge.
        y: Upper edge.
        text: Name of the package, shortened to fit.
        critical: Whether the package is on the critical path.
    """

    row: ComponentBuild
    x: int
    y: int
    state: str
    text: str
    critical: bool

    @property
    def text_y(self) -> int:
        """Return the vertical position of the text."""
        return self.y + 16


@dataclass(frozen=True)
class Edge:
    """A line from one box to another, as a path of SVG."""

    path: str
    critical: bool


@dataclass(frozen=True)
class Drawing:
    """The drawing of a build: its boxes, lines and size.

    Attributes:
        columns: The heading of each column, with its left edge.
        packages: The packages of the critical path.
        took: Duration of the critical path.
    """

    width: int
    height: int
    columns: Sequence[tuple[str, int]]
    nodes: Sequence[Node]
    edges: Sequence[Edge]
    packages: Sequence[str]
    took: str
    box: tuple[int, int] = (WIDTH, HEIGHT)


def draw(build: ModuleBuild, components: Sequence[ComponentBuild], now: datetime) -> Drawing | None:
    """Return the drawing of a build's components.

    Returns:
        A drawing without boxes if there are too many components; None if there are none.
    """
    if not components:
        return None
    path = _critical(components, now)
    if len(components) > MAX_NODES:
        return Drawing(0, 0, (), (), (), path.packages, _took(path))
    levels = _levels(build, components)
    nodes = list(_nodes(components, levels, set(path.packages)))
    steps = sorted(set(levels.values()))
    names = [f"Batch {step}" if not build.graph else f"Step {place}" for place, step in enumerate(steps, 1)]
    return Drawing(
        width=len(steps) * (WIDTH + ACROSS) - ACROSS + 2,
        height=max(node.y for node in nodes) + HEIGHT + 2,
        columns=[(name, place * (WIDTH + ACROSS) + 1) for place, name in enumerate(names)],
        nodes=nodes,
        edges=_edges(build, nodes, path.packages),
        packages=path.packages,
        took=_took(path),
    )


def _took(path: Path) -> str:
    return took(timedelta(seconds=path.seconds)) if path.seconds else ""


def _critical(components: Sequence[ComponentBuild], now: datetime) -> Path:
    """Return the critical path by actual or expected durations of the components."""
    works = [
        Work(each.package, each.batch, _seconds(each, now), frozenset(each.build_after))
        for each in components
        if each.reused_component_id is None
    ]
    try:
        return critical_path(works)
    except CycleError:
        return Path()


def _seconds(component: ComponentBuild, now: datetime) -> float:
    if component.time_started is None:
        return component.weight
    if component.settled and component.time_completed:
        return max(0.0, (component.time_completed - component.time_started).total_seconds())
    return max(component.weight, (now - component.time_started).total_seconds())


def _levels(build: ModuleBuild, components: Sequence[ComponentBuild]) -> dict[str, int]:
    """Return the column of each package: its batch, or the length of the longest chain before it."""
    if not build.graph:
        return {each.package: each.batch for each in components}
    by_package = {each.package: each for each in components}
    first = min(each.batch for each in components)
    after = {each.package: {name for name in each.build_after if name in by_package} for each in components}
    levels: dict[str, int] = {}
    try:
        for package in TopologicalSorter(after).static_order():
            # The first batch, such as the macros, comes first although ``buildafter`` does not name it.
            least = 0 if by_package[package].batch == first else 1
            levels[package] = max([least, *(levels[name] + 1 for name in after[package])])
    except CycleError:
        return {each.package: each.batch for each in components}
    return levels


def _nodes(
    components: Sequence[ComponentBuild], levels: dict[str, int], critical: set[str]
) -> Sequence[Node]:
    steps = {step: place for place, step in enumerate(sorted(set(levels.values())))}
    # The critical path gets the top row, so that its lines cross no other box.
    filled = dict.fromkeys(steps, 1 if critical else 0)
    for package in critical & levels.keys():
        filled[levels[package]] = 0
    nodes = []
    for row in sorted(components, key=lambda each: (each.package not in critical, each.pk)):
        step = levels[row.package]
        x, y = steps[step] * (WIDTH + ACROSS) + 1, TOP + filled[step] * (HEIGHT + BETWEEN)
        filled[step] += 1
        name = row.package
        text = name if len(name) <= MAX_LABEL else f"{name[: MAX_LABEL - 1]}…"
        nodes.append(Node(row, x, y, state_word(row), text, name in critical))
    return nodes


def _edges(build: ModuleBuild, nodes: Sequence[Node], critical: Sequence[str]) -> list[Edge]:
    by_package = {node.row.package: node for node in nodes}
    on_path = list(itertools.pairwise(critical))
    pairs = dict.fromkeys(pair for pair in on_path if set(pair) <= by_package.keys())
    if build.graph:
        pairs |= {
            (before, node.row.package): None
            for node in nodes
            for before in node.row.build_after
            if before in by_package
        }
    marked = set(on_path)
    return [
        Edge(_line(by_package[before], by_package[after]), (before, after) in marked)
        for before, after in list(pairs)[:MAX_EDGES]
    ]


def _line(before: Node, after: Node) -> str:
    x, y = before.x + WIDTH, before.y + HEIGHT // 2
    end_x, end_y = after.x, after.y + HEIGHT // 2
    middle = (end_x - x) // 2 if end_x > x else ACROSS // 2
    return f"M{x} {y}C{x + middle} {y} {end_x - middle} {end_y} {end_x} {end_y}"
