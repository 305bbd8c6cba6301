"""Whether the build requirements of a source RPM are met, by earlier batches or by the host.

libsolv judges, so versions and rich dependencies (``(a or b)``, ``(a >= 2 if c)``) mean what dnf means by
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import solv  # type: ignore[import-untyped]

from buildsys.local import host
from buildsys.local.rpmfile import Dependency, Package

_SIGNS = {"<": solv.REL_LT, ">": solv.REL_GT, "=": solv.REL_EQ}
#: A name inside a rich dependency; its own parentheses belong to it.
_ATOM = re.compile(r"[^\s()]+(?:\([^\s()]*\))*")
#: libsolv reads rich dependencies recursively; no honest one comes near this length.
_LONGEST = 2000
_WORDS = {"and", "or", "if", "else", "unless", "with", "without", "<", ">", "=", "<=", ">="}


def names_in(dependency: Dependency) -> list[str]:
    """The names that a dependency is about: one, unless it is a rich one."""
    if not dependency.name.startswith("("):
        return [dependency.name]
    return [atom for atom in _ATOM.findall(dependency.name) if atom not in _WORDS]


class _World:
    """All that is installed in the view of a build, as libsolv sees it."""

    def __init__(self, packages: Iterable[Package]) -> None:
        self._pool = solv.Pool()
        self._pool.setdisttype(solv.Pool.DISTTYPE_RPM)
        self._installed = self._pool.add_repo("installed")
        self._pool.installed = self._installed
        for package in packages:
            files = (Dependency(file) for file in package.files)
            self.add(package.name, package.evr, (*package.provides, *files))

    def add(self, name: str, evr: str, provides: Iterable[Dependency]) -> None:
        item = self._installed.add_solvable()
        item.name, item.evr, item.arch = name, evr, "noarch"
        for provide in provides:
            item.add_provides(self._dep(provide))

    def _dep(self, dependency: Dependency) -> solv.Dep:
        if dependency.name.startswith("("):
            return self._pool.parserpmrichdep(dependency.name) or self._pool.Dep(dependency.name)
        dep = self._pool.Dep(dependency.name)
        if not dependency.operator:
            return dep
        flags = sum(_SIGNS[sign] for sign in dependency.operator)
        return dep.Rel(flags, self._pool.Dep(dependency.evr))

    def meets(self, dependency: Dependency) -> bool:
        """Whether something that requires it could be installed without changing anything."""
        if len(dependency.name) > _LONGEST:
            return False
        wish = self._pool.add_repo("wish")
        item = wish.add_solvable()
        item.name, item.evr, item.arch = "build-requirement", "1-1", "noarch"
        item.add_requires(self._dep(dependency))
        self._pool.createwhatprovides()
        job = self._pool.Job(solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_SOLVABLE, item.id)
        problems = self._pool.Solver().solve([job])
        wish.free(True)
        return not problems


def missing(requires: Sequence[Dependency], packages: Iterable[Package]) -> list[str]:
    """The requirements that neither the packages nor the host meet, as they were written.

    :param packages: the RPMs of earlier batches that are in the view of the build.
    """
    world = _World(packages)
    needed = dict.fromkeys(requires)
    offers = {name: host.provides(name) for dependency in needed for name in names_in(dependency)}
    provided = [offer for found in offers.values() for offer in found]
    # Of a mere command the host tells no version: then any version will have to do.
    unversioned = {offer.name for offer in provided if not offer.operator}
    provided += [
        Dependency(need.name, "=", need.evr) for need in needed if need.operator and need.name in unversioned
    ]
    world.add("host", "0-0", provided)
    return [str(need) for need in needed if not world.meets(need)]


def conflicting(conflicts: Sequence[Dependency], packages: Sequence[Package]) -> list[str]:
    """The build conflicts that a package of an earlier batch falls under."""
    world = _World(packages)
    return [str(conflict) for conflict in dict.fromkeys(conflicts) if world.meets(conflict)]
