"""Check whether earlier batches or the host meet the build requirements of a source RPM.

libsolv decides, so versions and rich dependencies (``(a or b)``, ``(a >= 2 if c)``) have the same meaning as
in dnf. It runs in a bounded child process (``buildsys.local.solving``).
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from buildsys.base import BuildSystemError
from buildsys.local import host
from buildsys.local.bounded import Bounds, ChildFailed, run
from buildsys.local.rpmfile import Dependency, Package

#: A name inside a rich dependency, with its own parentheses.
_ATOM = re.compile(r"[^\s()]+(?:\([^\s()]*\))*")
_WORDS = {"and", "or", "if", "else", "unless", "with", "without", "<", ">", "=", "<=", ">="}
#: libsolv reads rich dependencies recursively and solves each separately. Real packages stay far below these
#: limits.
_MAX_NAME, _MAX_DEPTH, _MAX_RICH = 2000, 20, 500
_CHILD = Path(__file__).with_name("solving.py")
_BOUNDS = Bounds(seconds=60, memory=1 << 30, output=1 << 20)


def names_in(dependency: Dependency) -> list[str]:
    """Return the names in a dependency: several for a rich one, none if it exceeds a limit."""
    if not _usable(dependency):
        return []
    if not dependency.name.startswith("("):
        return [dependency.name]
    return [atom for atom in _ATOM.findall(dependency.name) if atom not in _WORDS]


def missing(requires: Sequence[Dependency], packages: Iterable[Package]) -> list[str]:
    """Return the requirements that neither the packages nor the host meet, as they were written.

    Args:
        packages: RPMs of earlier batches in the view of the build; iterated once.

    Raises:
        BuildSystemError: ``requirements_refused``: libsolv exceeds its limits.
    """
    needed = list(dict.fromkeys(requires))
    if not needed:
        return []
    names = {name for need in needed for name in names_in(need)}
    provided = [offer for found in host.provides(names).values() for offer in found]
    # The version of a command is unknown, so it satisfies any version.
    unversioned = {offer.name for offer in provided if not offer.operator}
    provided += [
        Dependency(need.name, "=", need.evr) for need in needed if need.operator and need.name in unversioned
    ]
    items = [*_relevant(packages, names), ["host", "0-0", [_triple(offer) for offer in provided]]]
    met = _judge(items, needed)
    return [str(need) for need in needed if need not in met]


def conflicting(conflicts: Sequence[Dependency], packages: Iterable[Package]) -> list[str]:
    """Return the build conflicts that match a package of an earlier batch.

    Args:
        packages: See :func:`missing`.

    Raises:
        BuildSystemError: ``requirements_refused``.
    """
    feared = list(dict.fromkeys(conflicts))
    if not feared:
        return []
    names = {name for conflict in feared for name in names_in(conflict)}
    met = _judge(list(_relevant(packages, names)), feared)
    return [str(conflict) for conflict in feared if conflict in met]


def _usable(dependency: Dependency) -> bool:
    """Return whether a dependency is within the limits for libsolv."""
    if len(dependency.name) > _MAX_NAME:
        return False
    depth = deepest = 0
    for letter in dependency.name:
        depth += (letter == "(") - (letter == ")")
        deepest = max(deepest, depth)
    return deepest <= _MAX_DEPTH


def _triple(dependency: Dependency) -> list[str]:
    return [dependency.name, dependency.operator, dependency.evr]


def _relevant(packages: Iterable[Package], names: Collection[str]) -> Iterable[list[object]]:
    """Yield the packages that provide one of the names, with only these provides and files."""
    for package in packages:
        provides = [_triple(each) for each in package.provides if each.name in names]
        provides += [[file, "", ""] for file in package.files if file in names]
        if provides:
            yield [package.name, package.evr, provides]


def _judge(items: Sequence[object], wishes: Sequence[Dependency]) -> set[Dependency]:
    """Return the requirements that the items satisfy."""
    usable = [wish for wish in wishes if _usable(wish)]
    if sum(wish.name.startswith("(") for wish in usable) > _MAX_RICH:
        raise _refused(f"there are more than {_MAX_RICH} rich dependencies")
    found = importlib.util.find_spec("solv")
    assert found is not None
    assert found.origin is not None
    argv = [sys.executable, "-S", "-s", "-P", "-B", str(_CHILD)]
    question = {"items": items, "wishes": [_triple(wish) for wish in usable]}
    env = {"PYTHONPATH": str(Path(found.origin).parents[1]), "PYTHONUTF8": "1"}
    try:
        output = run(argv, stdin=json.dumps(question).encode(), bounds=_BOUNDS, env=env)
    except ChildFailed as error:
        raise _refused(f"libsolv did not finish: {error}") from None
    return {wish for wish, met in zip(usable, json.loads(output), strict=True) if met}


def _refused(reason: str) -> BuildSystemError:
    return BuildSystemError(
        f"The build requirements cannot be checked: {reason}.",
        code="requirements_refused",
        hint="Use fewer requirements, or simpler rich dependencies.",
    )
