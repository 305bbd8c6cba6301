"""The sizes and dependencies of RPMs, for build systems that record them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from buildsys.base import Module


@dataclass(frozen=True)
class BuiltPackage:
    """An RPM of a finished module, as it was recorded when it was built.

    Attributes:
        evr: ``epoch:version-release``.
        size: of the file, in bytes.
        requires: each as ``name`` or ``name operator evr``; None: not read. ``provides`` likewise.
    """

    name: str
    evr: str
    arch: str
    size: int
    requires: tuple[str, ...] | None = None
    provides: tuple[str, ...] | None = None


@runtime_checkable
class RecordsRpms(Protocol):
    """A build system that records the sizes and dependencies of what it builds."""

    def recorded_rpms(self, module: Module) -> Iterator[BuiltPackage]:
        """Yield the RPMs that a finished module holds, source RPMs too.

        Raises:
            BuildSystemError: what was recorded cannot be read.
            OSError: likewise.
        """
