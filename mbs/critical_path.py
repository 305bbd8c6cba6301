"""How long a module takes at least, and because of which components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter


@dataclass(frozen=True)
class Work:
    """A component that has to be built.

    Attributes:
        seconds: Expected; 0 where nobody knows.
        after: Packages of the same batch that must be in the buildroot first.
    """

    package: str
    batch: int
    seconds: float
    after: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Path:
    """Components that are built one after the other, and the seconds that this takes."""

    packages: tuple[str, ...] = ()
    seconds: float = 0.0


def critical_path(works: Sequence[Work]) -> Path:
    """The chain of components that takes longest: with ever so many builders it cannot be faster.

    A batch starts when all of the one before it is built. What is reused is no work: leave it out. What is
    between two batches (tags, repositories) is not counted.

    Args:
        works: Without circles in ``after``; what is named there and is no work is passed over.
    """
    by_package = {work.package: work for work in works}
    ends: dict[str, Path] = {}
    before = Path()
    for number in sorted({work.batch for work in works}):
        batch = {work.package: work.after & by_package.keys() for work in works if work.batch == number}
        for package in TopologicalSorter(batch).static_order():
            if package in ends:
                continue
            longest = _longest(
                [before, *(ends[each] for each in sorted(by_package[package].after & ends.keys()))]
            )
            ends[package] = Path((*longest.packages, package), longest.seconds + by_package[package].seconds)
        before = _longest([ends[package] for package in sorted(batch)])
    return before


def _longest(paths: Sequence[Path]) -> Path:
    """The first of the longest; of those that take no time as far as anybody knows, the one of most steps."""
    return max(paths, key=lambda path: (path.seconds, len(path.packages)))
