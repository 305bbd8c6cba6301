"""Define how build systems deliver finished modules to users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from buildsys.base import Module

#: Folders of running builds, and internal folders of the service, which the web server does not show.
HIDDEN = frozenset({"work", "views", "lock"})


@dataclass(frozen=True)
class Delivery:
    """The repository of a finished module, and the commands that install the module.

    Attributes:
        repository_url: URL of the repository with the builds of its stream.
        repo_file_url: URL of the dnf configuration of that repository and those of required modules.
        install: Shell commands for root.
    """

    repository_url: str = ""
    repo_file_url: str = ""
    install: tuple[str, ...] = ()


@runtime_checkable
class WithdrawsModules(Protocol):
    """A build system whose repositories hold several builds of a stream."""

    def withdraw(self, module: Module) -> None:
        """Remove a module from the repository of its stream, if it is there."""


@dataclass(frozen=True)
class LeftOut:
    """A finished module that is not in the repository of its stream.

    Attributes:
        repository_url: URL of its own repository.
        instead: Tag of the build that is there, with whose packages dnf would mix those of the module; empty
            if later builds have replaced the module.
    """

    repository_url: str
    instead: str = ""


@runtime_checkable
class KeepsStreams(Protocol):
    """A build system with a repository for each stream, which does not contain all of its builds."""

    def left_out(self, module: Module) -> LeftOut | None:
        """Return why a finished module is not in the repository of its stream; None if it is there."""


@dataclass(frozen=True)
class ResultFile:
    """A file of a finished module.

    Attributes:
        path: Path below ``/results/``.
        size: Size in bytes.
    """

    path: str
    size: int

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rpartition("/")[2]


@runtime_checkable
class ListsFiles(Protocol):
    """A build system whose results are served at ``/results/``."""

    def files(self, module: Module, most: int) -> list[ResultFile]:
        """Return the RPMs of a finished module, binary ones first, at most ``most`` of each kind."""
