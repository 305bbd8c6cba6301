"""In which order the components of a module are built.

Either in batches, by ``buildorder``, or as a graph, by ``buildafter``; never both in one module.
Source of the rules: docs/contract/modulemd.md, "Components" and "Reading"; the numbers of batches are those
of the reference service, without its gaps.

Pure: documents come in as anything that has the attributes named here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import groupby
from typing import Protocol

from mbs.errors import Problem, Unprocessable
from mbs.text import natural

#: The first batch is the package of macros that every other component is built with.
MACROS_BATCH = 1
#: Modules that include modules that include modules ...
MAX_INCLUDED_DEPTH = 16


class Included(Protocol):
    """A module that another includes."""

    @property
    def name(self) -> str: ...
    @property
    def buildorder(self) -> int: ...


class Component(Included, Protocol):
    """An RPM component: ``buildafter`` holds keys of other components of the same module."""

    @property
    def buildafter(self) -> Sequence[str]: ...


class Module(Protocol):
    """A stream document."""

    @property
    def name(self) -> str: ...
    @property
    def rpm_components(self) -> Mapping[str, Component]: ...
    @property
    def module_components(self) -> Mapping[str, Included]: ...


class BuildafterError(Unprocessable):
    """``buildafter`` cannot be followed. In each problem ``component`` is a key and ``key`` the culprit."""

    code = "invalid_buildafter"


class InclusionError(Unprocessable):
    """Included modules cannot be put together with the one that includes them."""

    code = "invalid_inclusion"


@dataclass(frozen=True)
class Placed:
    """A component and its place in the build.

    :param batch: from 2; a module that uses ``buildafter`` has all its components in one batch.
    :param key: of the component in its own document.
    :param after: keys of components of the same document that must be in the buildroot first.
    :param path: names of the modules it was included through, outermost first.
    """

    batch: int
    key: str
    component: Component
    after: frozenset[str] = frozenset()
    path: tuple[str, ...] = ()


def waits_for(
    components: Mapping[str, Component], included: Mapping[str, Included] | None = None
) -> dict[str, frozenset[str]]:
    """For each component the keys of those that it names in ``buildafter``.

    :param components: RPM components by key.
    :param included: module components; they count when ``buildorder`` is looked for.
    :raises BuildafterError: for unknown names, a circle, or ``buildorder`` in the same module.
    """
    graph = {key: frozenset(component.buildafter) for key, component in components.items()}
    problems = list(_misfits(components, included or {}))
    if not problems:
        problems = list(_circle(graph))
    if problems:
        raise BuildafterError(problems[0].message, code=problems[0].code, problems=problems)
    return graph


def _misfits(components: Mapping[str, Component], included: Mapping[str, Included]) -> Iterator[Problem]:
    ordered = any(each.buildorder for each in (*components.values(), *included.values()))
    for key, component in components.items():
        if ordered and component.buildafter:
            yield Problem(
                "buildafter_and_buildorder",
                f"Component {key[:80]!r} has buildafter, and this module uses buildorder too.",
                component=key,
                key="buildafter",
                hint="Use one of them in all components.",
            )
        for other in component.buildafter:
            if other not in components:
                yield Problem(
                    "unknown_component",
                    f"Component {key[:80]!r} is to be built after {other[:80]!r}, which is no component.",
                    component=key,
                    key="buildafter",
                    hint="buildafter holds keys of data.components.rpms.",
                )


def _circle(graph: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # Each of these must be built before the next; the first is repeated as the last.
        circle: list[str] = error.args[1]
        yield Problem(
            "buildafter_cycle",
            f"Components wait for each other in a circle: {' before '.join(circle)[:400]}.",
            component=circle[-1],
            key="buildafter",
        )


def place(module: Module, fetch: Callable[[str, Included], Module]) -> list[Placed]:
    """All components, those of included modules too, in the order of their batches.

    Components of one ``buildorder`` share a batch. The components of an included module start at the
    batch of the module's own ``buildorder`` and may take several batches of their own.

    :param fetch: the document of an included module, given its key and its component.
    :raises BuildafterError: see ``waits_for``.
    :raises InclusionError: when a component comes twice, or a module includes itself.
    """
    placed = _Placer(fetch).walk(module, MACROS_BATCH, None, (module.name,))
    placed.sort(key=lambda each: each.batch)
    # A batch that only an included module opened, and put nothing into, does not count.
    return [
        Placed(number, each.key, each.component, each.after, each.path)
        for number, (_, group) in enumerate(groupby(placed, lambda each: each.batch), MACROS_BATCH + 1)
        for each in group
    ]


def _order(entry: tuple[int, bool, str]) -> tuple[int, bool, Sequence[object], str]:
    """Key of a component among those of one module: names with numbers come in their order."""
    buildorder, is_module, key = entry
    return buildorder, is_module, natural(key), key


class _Placer:
    """Numbers batches along the walk through a module and all that it includes."""

    def __init__(self, fetch: Callable[[str, Included], Module]) -> None:
        self.fetch = fetch
        self.owners: dict[str, str] = {}
        self.batch = MACROS_BATCH

    def walk(self, module: Module, batch: int, order: int | None, path: tuple[str, ...]) -> list[Placed]:
        """Components of one module; ``self.batch`` is the last batch afterwards.

        :param batch: the batch that is open, and ``order`` the ``buildorder`` it was opened for.
        """
        after = waits_for(module.rpm_components, module.module_components)
        self._own(module, path)
        placed: list[Placed] = []
        rpms = [(each.buildorder, False, key) for key, each in module.rpm_components.items()]
        modules = [(each.buildorder, True, key) for key, each in module.module_components.items()]
        for buildorder, is_module, key in sorted(rpms + modules, key=_order):
            if buildorder != order:
                batch, order = batch + 1, buildorder
            if is_module:
                inner = self._include(key, module.module_components[key], path)
                placed += self.walk(inner, batch, order, (*path, key))
                batch = self.batch
            else:
                placed.append(Placed(batch, key, module.rpm_components[key], after[key], path[1:]))
        self.batch = batch
        return placed

    def _own(self, module: Module, path: tuple[str, ...]) -> None:
        for key in module.rpm_components:
            if key in self.owners:
                raise InclusionError(
                    f"Component {key!r} is in {self.owners[key]!r} and again in {path[-1]!r}.",
                    code="component_twice",
                    hint="A component can be in one of a module and the modules that it includes.",
                )
            self.owners[key] = path[-1]

    def _include(self, key: str, component: Included, path: tuple[str, ...]) -> Module:
        if key in path or len(path) > MAX_INCLUDED_DEPTH:
            raise InclusionError(
                f"Modules include each other without end: {' -> '.join((*path, key))}.",
                code="included_in_itself",
            )
        return self.fetch(key, component)
