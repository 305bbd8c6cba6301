"""The program that asks libsolv about build requirements; ``buildsys.local.requirements`` starts it.

libsolv is written in C and requirements are untrusted, so that a crash or an endless loop must only affect a
bounded child. Standard input is a JSON object:

``items``   everything that is installed: ``[name, evr, [[name, operator, evr], ...]]``
``wishes``  requirements ``[name, operator, evr]``

Standard output is a JSON list: for each wish, whether a package that requires it could be installed without
other changes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import solv

_SIGNS = {"<": solv.REL_LT, ">": solv.REL_GT, "=": solv.REL_EQ}


class World:
    """The packages in the view of a build, and the requirements, in a libsolv pool."""

    def __init__(self, items: Sequence[Sequence[str]], wishes: Sequence[Sequence[str]]) -> None:
        self._pool = solv.Pool()
        self._pool.setdisttype(solv.Pool.DISTTYPE_RPM)
        installed = self._pool.add_repo("installed")
        self._pool.installed = installed
        for name, evr, provides in items:
            item = installed.add_solvable()
            item.name, item.evr, item.arch = name, evr, "noarch"
            for provide in provides:
                item.add_provides(self._dep(*provide))
        self._repo = self._pool.add_repo("wishes")
        self._wishes = [self._wish(*wish) for wish in wishes]
        self._pool.createwhatprovides()

    def _dep(self, name: str, operator: str, evr: str) -> solv.Dep:
        if name.startswith("("):
            return self._pool.parserpmrichdep(name) or self._pool.Dep(name)
        dep = self._pool.Dep(name)
        if not operator:
            return dep
        return dep.Rel(sum(_SIGNS[sign] for sign in operator), self._pool.Dep(evr))

    def _wish(self, name: str, operator: str, evr: str) -> tuple[solv.Dep, solv.XSolvable | None]:
        dep = self._dep(name, operator, evr)
        if not name.startswith("("):
            return dep, None
        item = self._repo.add_solvable()
        item.name, item.evr, item.arch = "build-requirement", "1-1", "noarch"
        item.add_requires(dep)
        return dep, item

    def answers(self) -> list[bool]:
        """Return for each requirement whether the packages meet it."""
        return [self._meets(dep, item) for dep, item in self._wishes]

    def _meets(self, dep: solv.Dep, item: solv.XSolvable | None) -> bool:
        # Only rich dependencies need the solver.
        if item is None:
            return bool(self._pool.whatprovides(dep))
        job = self._pool.Job(solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_SOLVABLE, item.id)
        return not self._pool.Solver().solve([job])


def main() -> None:
    """Read items and requirements from standard input, and print whether each requirement is met."""
    question = json.load(sys.stdin)
    print(json.dumps(World(question["items"], question["wishes"]).answers()))


if __name__ == "__main__":
    main()
