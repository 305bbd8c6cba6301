"""Define the recorded sizes and dependencies of RPMs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from buildsys.base import Module


@dataclass(frozen=True)
class BuiltPackage:
    """An RPM of a finished module, as recorded when it was built.

    Attributes:
        evr: ``epoch:version-release``.
        size: Size of the file in bytes.
        requires: Dependencies, each as ``name`` or ``name operator evr``; None if they were not read.
        provides: Provided capabilities, likewise.
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
        """Yield the RPMs of a finished module, including source RPMs.

        Raises:
            BuildSystemError: The recorded data cannot be read.
            OSError: The recorded data cannot be read.
        """
