"""Explain in words why streams cannot be built together.

An explanation names the requirement that nothing satisfies, or the two modules that collide, and the path to
them (docs/contract/modulemd.md, "Stream expansion", rule 8).
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

#: Max findings in one message.
MAX_FINDINGS = 3
#: Max pairs of colliding builds that are examined.
MAX_COLLISIONS = 100

#: The chain from a buildrequire of the document to a build: each requirement with the build that satisfies
#: it.
_Path: TypeAlias = list[tuple[NameStream | rules.Requirement, Available]]


@dataclass(frozen=True)
class Reason:
    """Why streams cannot be installed together; the fields are those of ``report.Rejected``."""

    code: str
    message: str
    modules: tuple[str, ...] = ()
    paths: tuple[tuple[str, ...], ...] = ()


def explain(solver: Solver, wants: Sequence[NameStream]) -> Reason:
    """Return why ``wants`` cannot be installed together."""
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
    """Return one finding for each pair of streams that exclude each other, the shortest first.

    Pairs of builds of which only one is needed are left out if there are others.
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
    """Return whether one requirement leads to both builds, so that either of them would satisfy it."""
    taken = dict(one)
    return any(taken.get(asked, module) is not module for asked, module in other)


def _paths(
    solver: Solver, wants: Sequence[NameStream], problems: Problems, instead_of: Available | None = None
) -> dict[Available, _Path]:
    """Return the shortest path from the document to each build that takes part in the failure.

    Args:
        instead_of: Ignore requirements that this build satisfies.
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
        f"{names} exclude each other: {_in_words(one)}; {_in_words(other)}.",
        tuple(str(module.nsvc) for module in modules),
        tuple(tuple(str(module.nsvc) for _, module in path) for path in (one, other)),
    )


def _unmet(path: _Path, need: rules.Requirement) -> Reason:
    module = path[-1][1]
    return Reason(
        "unmet_requirement",
        f"No usable build satisfies {need}: {_in_words(path)}, {module.nsvc} requires {need}.",
        (str(module.nsvc),),
        (tuple(str(module.nsvc) for _, module in path),),
    )


def _missing_want(solver: Solver, want: NameStream) -> Reason:
    made = "" if solver.is_base(want[0]) else " that was built against a compatible base module"
    message = f"The document buildrequires {':'.join(want)}, but no build of it is ready{made}."
    return Reason("unmet_requirement", message)


def _in_words(path: _Path) -> str:
    """Return a path in words: ``the document buildrequires gtk:1, gtk:1:2:c1 requires bar:1``."""
    wanted = path[0][0][:2]
    links = ["the document buildrequires " + ":".join(wanted)]  # type: ignore[arg-type]  # a NameStream
    links += [f"{before.nsvc} requires {asked}" for (_, before), (asked, _) in pairwise(path)]
    return ", ".join(links)
