"""Order the components of a module for building.

A module uses either ``buildorder`` (batches) or ``buildafter`` (a graph within one batch), never both. The
rules are in docs/contract/modulemd.md, "Components" and "Reading". Batches are numbered as MBS 3.9.2 numbers
them, but without its gaps.

The functions are pure and accept any object with the attributes of the protocols below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import groupby
from typing import Generic, Protocol, TypeVar

from mbs.errors import Problem, Unprocessable
from mbs.text import natural

#: Batch 1 holds module-build-macros, which is in the buildroot of every other component.
MACROS_BATCH = 1
#: Levels of modules that include modules.
MAX_INCLUDED_DEPTH = 16


class Included(Protocol):
    """A module that another module includes."""

    @property
    def name(self) -> str:
        """Return the module's name."""

    @property
    def buildorder(self) -> int:
        """Return the ``buildorder`` of the included module."""


class Component(Included, Protocol):
    """An RPM component."""

    @property
    def buildafter(self) -> Sequence[str]:
        """Return keys of the components of the same module that are built before this one."""


C = TypeVar("C", bound=Component)
M = TypeVar("M", bound=Included)
C_co = TypeVar("C_co", bound=Component, covariant=True)
M_co = TypeVar("M_co", bound=Included, covariant=True)


class Module(Protocol[C_co, M_co]):
    """A modulemd stream document."""

    @property
    def name(self) -> str:
        """Return the module's name."""

    @property
    def rpm_components(self) -> Mapping[str, C_co]:
        """Return the RPM components by key."""

    @property
    def module_components(self) -> Mapping[str, M_co]:
        """Return the included modules by key."""


class BuildafterError(Unprocessable):
    """The ``buildafter`` of a module contradicts itself or its ``buildorder``.

    In each problem, ``component`` is the key of a component and ``key`` the field that is wrong.
    """

    code = "invalid_buildafter"


class InclusionError(Unprocessable):
    """An included module conflicts with the module that includes it."""

    code = "invalid_inclusion"


@dataclass(frozen=True)
class Placed(Generic[C_co]):
    """A component and its place in the order.

    Attributes:
        batch: 2 or more. All components of a module that uses ``buildafter`` are in one batch.
        key: Key of the component in its own document.
        after: Keys of components of the same document that must be in the buildroot first.
        path: Names of the modules through which the component was included, outermost first.
    """

    batch: int
    key: str
    component: C_co
    after: frozenset[str] = frozenset()
    path: tuple[str, ...] = ()


def buildafter_graph(
    components: Mapping[str, Component], included: Mapping[str, Included] | None = None
) -> dict[str, frozenset[str]]:
    """Map each component to the components that its ``buildafter`` names.

    Args:
        components: RPM components by key.
        included: Included modules by key; their ``buildorder`` counts too.

    Raises:
        BuildafterError: A name is unknown, components wait for each other in a cycle, or the module uses
            ``buildorder`` too.
    """
    graph = {key: frozenset(component.buildafter) for key, component in components.items()}
    problems = list(_invalid_references(components, included or {}))
    if not problems:
        problems = list(_cycle(graph))
    if problems:
        raise BuildafterError(problems[0].message, code=problems[0].code, problems=problems)
    return graph


def _invalid_references(
    components: Mapping[str, Component], included: Mapping[str, Included]
) -> Iterator[Problem]:
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
                    f"Component {key[:80]!r} names {other[:80]!r} in buildafter, which is not a component.",
                    component=key,
                    key="buildafter",
                    hint="buildafter holds keys of data.components.rpms.",
                )


def _cycle(graph: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # Each component of the cycle must be built before the next. graphlib repeats the first at the end.
        cycle: list[str] = error.args[1]
        yield Problem(
            "buildafter_cycle",
            f"Components wait for each other in a cycle: {' before '.join(cycle)[:400]}.",
            component=cycle[-1],
            key="buildafter",
        )


def place(module: Module[C, M], fetch: Callable[[str, M], Module[C, M]]) -> list[Placed[C]]:
    """Return all components in the order of their batches, including those of included modules.

    Components with the same ``buildorder`` share a batch. The components of an included module begin at the
    batch of the included module's ``buildorder`` and may take several batches.

    Args:
        fetch: Returns the document of an included module, given its key and its component.

    Raises:
        BuildafterError: See ``buildafter_graph``.
        InclusionError: Two modules have a component of the same key, or a module includes itself.
    """
    placed = _Placer(fetch).walk(module, MACROS_BATCH, None, (module.name,))
    placed.sort(key=lambda each: each.batch)
    # Renumber the batches: an included module can begin a batch without a component.
    return [
        Placed(number, each.key, each.component, each.after, each.path)
        for number, (_, group) in enumerate(groupby(placed, lambda each: each.batch), MACROS_BATCH + 1)
        for each in group
    ]


def _order(entry: tuple[int, bool, str]) -> tuple[int, bool, Sequence[object], str]:
    """Key of a component among those of one module: names with numbers come in their order."""
    buildorder, is_module, key = entry
    return buildorder, is_module, natural(key), key


class _Placer(Generic[C, M]):
    """Numbers batches while it walks through a module and the modules that it includes."""

    def __init__(self, fetch: Callable[[str, M], Module[C, M]]) -> None:
        self.fetch = fetch
        self.owners: dict[str, str] = {}
        self.batch = MACROS_BATCH

    def walk(
        self, module: Module[C, M], batch: int, order: int | None, path: tuple[str, ...]
    ) -> list[Placed[C]]:
        """Return the components of one module. Afterwards ``self.batch`` is the module's last batch.

        Args:
            batch: The batch before the module's first one.
            order: The ``buildorder`` of that batch; components with the same value join it.
        """
        after = buildafter_graph(module.rpm_components, module.module_components)
        self._own(module, path)
        placed: list[Placed[C]] = []
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

    def _own(self, module: Module[C, M], path: tuple[str, ...]) -> None:
        for key in module.rpm_components:
            if key in self.owners:
                raise InclusionError(
                    f"Component {key!r} is in {self.owners[key]!r} and again in {path[-1]!r}.",
                    code="component_twice",
                    hint="A component can be in one of a module and the modules that it includes.",
                )
            self.owners[key] = path[-1]

    def _include(self, key: str, component: M, path: tuple[str, ...]) -> Module[C, M]:
        if key in path or len(path) > MAX_INCLUDED_DEPTH:
            raise InclusionError(
                f"Modules include each other without end: {' -> '.join((*path, key))}.",
                code="included_in_itself",
            )
        return self.fetch(key, component)
