"""Define the records of finished modules: final documents, sizes and dependencies of RPMs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from buildsys.base import Module


@dataclass(frozen=True)
class FinalDocuments:
    """The final documents of a finished module.

    Attributes:
        texts: Architecture or ``src`` -> document with artifacts and licenses.
        sizes: Architecture or ``src`` -> NEVRA of an RPM in the document -> size in bytes.
    """

    texts: Mapping[str, str]
    sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


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


@runtime_checkable
class DescribesModules(Protocol):
    """A build system that can describe modules which another service finished."""

    def documents(self, module: Module, nvrs: Sequence[str]) -> FinalDocuments:
        """Return the final documents of a finished module, without changing anything.

        Args:
            nvrs: NVRs of all components.
        """
