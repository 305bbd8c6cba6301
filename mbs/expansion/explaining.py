"""Says why streams cannot be built together, in words.

Source: contract ``modulemd.md``, "Stream expansion", rule 8: which requirement cannot be met, or which
two modules collide, and through what path.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from mbs.expansion import rules
from mbs.expansion.solver import Problems, Solver
from mbs.expansion.universe import Available, NameStream

#: So many sentences make a message; more would not be read.
MAX_FINDINGS = 3

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
    paths = _paths(solver, wants, problems.involved)
    findings = [_missing_want(solver, want) for want in wants if not solver.builds(want)]
    findings += sorted(
        (_collision(*pair) for pair in _colliding(problems, paths)),
        key=lambda reason: sum(map(len, reason.paths)),
    )
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


def _colliding(problems: Problems, paths: Mapping[Available, _Path]) -> list[tuple[_Path, _Path]]:
    """Pairs that exclude each other; those of which only one is needed do not count if there are others."""
    pairs = {frozenset(pair): pair for pair in problems.collisions if set(pair) <= paths.keys()}
    found = [(paths[one], paths[other]) for one, other in pairs.values()]
    return [pair for pair in found if not _is_either_or(*pair)] or found


def _is_either_or(one: _Path, other: _Path) -> bool:
    """Whether both begin with one request, and then with different builds that satisfy it."""
    taken = dict(one)
    return any(taken.get(asked, module) is not module for asked, module in other)


def _paths(
    solver: Solver, wants: Sequence[NameStream], involved: Mapping[Available, None]
) -> dict[Available, _Path]:
    """The shortest way from the document to each build, over builds that have a part in the failure."""
    paths: dict[Available, _Path] = {}
    queue: deque[Available] = deque()

    def reach(asked: NameStream | rules.Requirement, before: _Path) -> None:
        for module in solver.builds(asked):
            if module not in paths:
                paths[module] = [*before, (asked, module)]
                queue.append(module)

    for want in wants:
        reach(want, [])
    while queue:
        module = queue.popleft()
        if module in involved:
            for need in solver.needs(module):
                reach(need, paths[module])
    return paths


def _collision(one: _Path, other: _Path) -> Reason:
    if len(other) < len(one):
        one, other = other, one
    modules = (one[-1][1], other[-1][1])
    return Reason(
        "stream_collision",
        f"{modules[0].nsvc} and {modules[1].nsvc} exclude each other: {_told(one)}; {_told(other)}.",
        tuple(module.nsvc for module in modules),
        tuple(tuple(module.nsvc for _, module in path) for path in (one, other)),
    )


def _unmet(path: _Path, need: rules.Requirement) -> Reason:
    module = path[-1][1]
    return Reason(
        "unmet_requirement",
        f"Nothing that can be used satisfies {need}: {_told(path)}, {module.nsvc} requires {need}.",
        (module.nsvc,),
        (tuple(module.nsvc for _, module in path),),
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
