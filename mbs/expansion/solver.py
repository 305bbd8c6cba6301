"""Ask libsolv which module builds can be installed together.

Every build is a solvable that conflicts with all others of its name. Each requirement is a capability that
the builds that satisfy it provide (see ``rules``). libsolv prefers solvables by name, so the names are
numbers in the order of preference: by stream, newest version and context.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, TypeAlias

import solv

from mbs.expansion import rules
from mbs.expansion.settings import Settings
from mbs.expansion.universe import Available, NameStream

#: What to install: any build of a stream, or one build.
Want: TypeAlias = NameStream | Available


class Solver:
    """Answers questions about which of some builds can be installed together.

    Args:
        modules: Distinct builds; within a stream the newest first.

    Attributes:
        solves: How often libsolv ran.
    """

    def __init__(self, modules: Sequence[Available], settings: Settings) -> None:
        self._settings = settings
        self._pool = solv.Pool()
        self._pool.setarch("noarch")
        self._repo = self._pool.add_repo("modules")
        self._by_name: dict[str, list[Available]] = defaultdict(list)
        self._ranks: dict[Available, int] = {}
        for module in modules:
            named = self._by_name[module.name]
            self._ranks[module] = sum(other.stream == module.stream for other in named)
            named.append(module)
        self._solvables: dict[Available, Any] = {}
        self._modules: dict[int, Available] = {}
        self._answers: dict[NameStream | rules.Requirement, list[Available]] = {}
        self._capabilities: dict[rules.Requirement, Any] = {}
        preference = sorted(modules, key=lambda each: (each.name, each.stream, -each.version, each.context))
        for number, module in enumerate(preference):
            self._add(module, f"{number:09}")
        for module in modules:
            self._add_requires(module)
        self._pool.createwhatprovides()
        self.solves = 0

    def _add(self, module: Available, label: str) -> None:
        solvable = self._repo.add_solvable()
        solvable.name, solvable.evr, solvable.arch = label, "1", "noarch"
        name = self._pool.Dep(f"name {module.name}")
        solvable.add_deparray(solv.SOLVABLE_PROVIDES, name)
        solvable.add_deparray(solv.SOLVABLE_CONFLICTS, name)
        solvable.add_deparray(
            solv.SOLVABLE_PROVIDES, self._pool.Dep(_stream_label(module.name, module.stream))
        )
        self._solvables[module] = solvable
        self._modules[solvable.id] = module

    def _add_requires(self, module: Available) -> None:
        alternatives = rules.requirements(module, self._settings)
        if not all(alternatives):
            return
        lists = [[self._capability(each) for each in alternative] for alternative in alternatives]
        for each in lists[0] if len(lists) == 1 else [_any(map(_all, lists))] if lists else []:
            self._solvables[module].add_deparray(solv.SOLVABLE_REQUIRES, each)

    def _capability(self, requirement: rules.Requirement) -> Any:
        if requirement not in self._capabilities:
            capability = self._pool.Dep(f"needs {requirement!r}")
            self._capabilities[requirement] = capability
            for module in self.builds(requirement):
                self._solvables[module].add_deparray(solv.SOLVABLE_PROVIDES, capability)
        return self._capabilities[requirement]

    def install(self, wants: Iterable[Want]) -> list[Available] | None:
        """Return builds that satisfy all ``wants`` and their requirements; None if there are none."""
        if self._solve(wants):
            return None
        chosen = (self._modules.get(decision) for decision in self._solver.raw_decisions())
        return [module for module in chosen if module]

    def core(self, wants: Sequence[NameStream]) -> list[NameStream]:
        """Return a minimal subset of ``wants`` that cannot be installed together."""
        involved = self.problems(wants).involved
        suspects = [want for want in wants if not involved.keys().isdisjoint(self.builds(want))]
        needed = suspects if self._solve(suspects) else list(wants)
        for want in list(needed):
            fewer = [other for other in needed if other is not want]
            if self._solve(fewer):
                needed = fewer
        return needed

    def _solve(self, wants: Iterable[Want]) -> list[Any]:
        self.solves += 1
        # A solver keeps the rules of every question and becomes slow. A new one costs little.
        self._solver = self._pool.Solver()
        problems: list[Any] = self._solver.solve([self._job(want) for want in wants])
        return problems

    def _job(self, want: Want) -> Any:
        if isinstance(want, Available):
            how, what = solv.Job.SOLVER_SOLVABLE, self._solvables[want].id
        else:
            how, what = solv.Job.SOLVER_SOLVABLE_PROVIDES, self._pool.str2id(_stream_label(*want))
        return self._pool.Job(solv.Job.SOLVER_INSTALL | how, what)

    def needs(self, module: Available) -> list[rules.Requirement]:
        """Return the requirements of a build, of all its alternatives."""
        return [each for alternative in rules.requirements(module, self._settings) for each in alternative]

    def builds(self, what: NameStream | rules.Requirement) -> list[Available]:
        """Return all builds of a stream, or all that satisfy a requirement."""
        if what not in self._answers:
            named = self._by_name.get(what[0], ())
            if isinstance(what, rules.Requirement):
                found = [module for module in named if rules.satisfies(module, what, self._settings)]
            else:
                found = [module for module in named if module.stream == what[1]]
            self._answers[what] = found
        return self._answers[what]

    def is_base(self, name: str) -> bool:
        """Return whether a name is that of a base module."""
        return name in self._settings.base_modules

    def rank(self, module: Available) -> int:
        """Return how many builds of the same stream are preferred to this one."""
        return self._ranks[module]

    def fits(self, module: Available, base: Available) -> bool:
        """Return whether the requirements of a build accept a base module."""
        alternatives = rules.requirements(module, self._settings)
        return not alternatives or any(
            all(each.name != base.name or rules.satisfies(base, each, self._settings) for each in alternative)
            for alternative in alternatives
        )

    def problems(self, wants: Sequence[NameStream]) -> Problems:
        """Return libsolv's findings about ``wants`` that cannot be installed together."""
        found = Problems()
        infos = [
            info
            for problem in self._solve(wants)
            for rule in problem.findallproblemrules()
            for info in rule.allinfos()
        ]
        for info in infos:
            module = self._modules.get(info.solvable.id) if info.solvable else None
            if module:
                found.involved[module] = None
            if module and info.type == solv.Solver.SOLVER_RULE_PKG_CONFLICTS:
                found.collisions.append((module, self._modules[info.othersolvable.id]))
        return found


@dataclass
class Problems:
    """Builds that take part in a failure, and pairs of them that exclude each other."""

    involved: dict[Available, None] = field(default_factory=dict)
    collisions: list[tuple[Available, Available]] = field(default_factory=list)


def _stream_label(name: str, stream: str) -> str:
    return f"stream {(name, stream)!r}"


def _all(capabilities: Sequence[Any]) -> Any:
    return _joined(capabilities, solv.REL_AND)


def _any(capabilities: Iterable[Any]) -> Any:
    return _joined(list(capabilities), solv.REL_OR)


def _joined(capabilities: Sequence[Any], operator: int) -> Any:
    # A balanced tree: libsolv follows it recursively, and a chain of 100,000 overflowed its stack.
    while len(capabilities) > 1:
        pairs = zip_longest(capabilities[::2], capabilities[1::2])
        capabilities = [one.Rel(operator, other) if other else one for one, other in pairs]
    return capabilities[0]
