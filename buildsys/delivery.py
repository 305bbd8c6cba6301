"""How users get a finished module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from buildsys.base import Module

#: Folders of running builds, and internal folders of the service, which the web server does not show.
HIDDEN = frozenset({"work", "views", "lock"})


@dataclass(frozen=True)
class Delivery:
    """Where a finished module can be installed from, and how.

    :param repository_url: of the repository that holds the builds of its stream.
    :param repo_file_url: of the file that dnf reads about that repository and those of required modules.
    :param install: command lines for root.
    """

    repository_url: str = ""
    repo_file_url: str = ""
    install: tuple[str, ...] = ()


@runtime_checkable
class WithdrawsModules(Protocol):
    """A build system whose repositories hold several builds of a stream."""

    def withdraw(self, module: Module) -> None:
        """Take a finished module out of the repository of its stream, where it is in it."""


@dataclass(frozen=True)
class ResultFile:
    """A file of a finished module.

    :param path: below ``/results/``.
    :param size: in bytes.
    """

    path: str
    size: int

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


@runtime_checkable
class ListsFiles(Protocol):
    """A build system whose results lie where the web server shows them."""

    def files(self, module: Module, most: int) -> list[ResultFile]:
        """Return the RPMs of a finished module, binary ones first; ``most`` of each kind."""
