"""Says why streams cannot be built together, in words.

Source: docs/contract/modulemd.md, "Stream expansion", rule 8: which requirement cannot be met, or which
two modules collide, and through what path.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from mbs.expansion import rules
from mbs.expansion.solver import Problems, Solver
from mbs.expansion.universe import Available, NameStream

#: So many sentences make a message; more would not be read.
MAX_FINDINGS = 3
#: So many pairs are looked at to find them.
MAX_COLLISIONS = 100

#: From what the document buildrequires to a build: each build with what asked for it.
_Path: TypeAlias = list[tuple[NameStream | rules.Requirement, Available]]


@dataclass(frozen=True)
class Reason:
    """Why things cannot be installed together; fields as in ``report.Rejected``."""

    code: str
    message: str
    modules: tuple[str, ...] = ()
    paths: tuple[tuple[str, ...], ...] = ()


def explain(solver: Solver, wants: Sequence[NameStream]) -> Reason:
    """Why ``wants``, which cannot be installed together, cannot."""
    problems = solver.problems(wants)
    findings = [_missing_want(solver, want) for want in wants if not solver.builds(want)]
    findings += _collisions(solver, wants, problems)
    paths = _paths(solver, wants, problems)
    findings += [
        _unmet(paths[module], need)
        for module in problems.involved
        for need in solver.needs(module)
        if module in paths and not solver.builds(need)
    ]
    if not findings:
        names = " and ".join(":".join(want) for want in wants)
        return Reason("unsolvable", f"{names} cannot be used together.")
    first = findings[0]
    message = " ".join(dict.fromkeys(finding.message for finding in findings[:MAX_FINDINGS]))
    return Reason(first.code, message, first.modules, first.paths)


def _collisions(solver: Solver, wants: Sequence[NameStream], problems: Problems) -> list[Reason]:
    """One finding for each two streams that exclude each other, the shortest first.

    Two builds of which only one is needed come last: they matter only if there is nothing else.
    """
    found: dict[frozenset[str], tuple[bool, int, Reason]] = {}
    for one, other in problems.collisions[:MAX_COLLISIONS]:
        to_one = _paths(solver, wants, problems, instead_of=other).get(one)
        to_other = _paths(solver, wants, problems, instead_of=one).get(other)
        if to_one and to_other:
            ways = (_is_either_or(to_one, to_other), len(to_one) + len(to_other))
            known = found.get(frozenset((one.ns, other.ns)))
            if not known or ways < known[:2]:
                found[frozenset((one.ns, other.ns))] = (*ways, _collision(to_one, to_other))
    ordered = sorted(found.values(), key=lambda each: each[:2])
    return [reason for either_or, _, reason in ordered if not either_or or ordered[0][0]]


def _is_either_or(one: _Path, other: _Path) -> bool:
    """Whether one request leads to both, through different builds that satisfy it."""
    taken = dict(one)
    return any(taken.get(asked, module) is not module for asked, module in other)


def _paths(
    solver: Solver, wants: Sequence[NameStream], problems: Problems, instead_of: Available | None = None
) -> dict[Available, _Path]:
    """The shortest way from the document to each build, over builds that have a part in the failure.

    Args:
        instead_of: What this build satisfies leads to no other.
    """
    paths: dict[Available, _Path] = {}
    queue: deque[Available] = deque()

    def reach(asked: NameStream | rules.Requirement, before: _Path) -> None:
        builds = solver.builds(asked)
        for module in () if instead_of in builds else builds:
            if module not in paths:
                paths[module] = [*before, (asked, module)]
                queue.append(module)

    for want in wants:
        reach(want, [])
    while queue:
        module = queue.popleft()
        if module in problems.involved:
            for need in solver.needs(module):
                reach(need, paths[module])
    return paths


def _collision(one: _Path, other: _Path) -> Reason:
    if len(other) < len(one):
        one, other = other, one
    modules = (one[-1][1], other[-1][1])
    same = modules[0].ns == modules[1].ns
    names = " and ".join(str(module.nsvc) if same else module.ns for module in modules)
    return Reason(
        "stream_collision",
        f"{names} exclude each other: {_told(one)}; {_told(other)}.",
        tuple(str(module.nsvc) for module in modules),
        tuple(tuple(str(module.nsvc) for _, module in path) for path in (one, other)),
    )


def _unmet(path: _Path, need: rules.Requirement) -> Reason:
    module = path[-1][1]
    return Reason(
        "unmet_requirement",
        f"Nothing that can be used satisfies {need}: {_told(path)}, {module.nsvc} requires {need}.",
        (str(module.nsvc),),
        (tuple(str(module.nsvc) for _, module in path),),
    )


def _missing_want(solver: Solver, want: NameStream) -> Reason:
    made = "" if solver.is_base(want[0]) else " that was made against a compatible base module"
    message = f"The document buildrequires {':'.join(want)}, of which no build is ready{made}."
    return Reason("unmet_requirement", message)


def _told(path: _Path) -> str:
    """``the document buildrequires gtk:1, gtk:1:2:c1 requires bar:1``."""
    links = ["the document buildrequires " + ":".join(path[0][0][:2])]  # type: ignore[arg-type]
    links += [f"{before.nsvc} requires {asked}" for (_, before), (asked, _) in pairwise(path)]
    return ", ".join(links)
