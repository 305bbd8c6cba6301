"""Find the chain of components that determines the shortest build time of a module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter


@dataclass(frozen=True)
class Work:
    """A component that must be built.

    Attributes:
        seconds: Expected build time; 0 if unknown.
        after: Packages of the same batch that must be in the buildroot first.
    """

    package: str
    batch: int
    seconds: float
    after: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Path:
    """Components that are built one after the other, and the sum of their build times."""

    packages: tuple[str, ...] = ()
    seconds: float = 0.0


def critical_path(works: Sequence[Work]) -> Path:
    """Return the chain of components that takes longest, which no number of builders can shorten.

    A batch begins when the previous one is complete. The time between batches (tagging, repositories) is not
    counted.

    Args:
        works: Components without a cycle in ``after``, without those that are reused. Unknown names in
            ``after`` are ignored.
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
    """Return the longest path, and among equally long ones the one with most components."""
    return max(paths, key=lambda path: (path.seconds, len(path.packages)))
