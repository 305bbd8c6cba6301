"""How users get a finished module."""

from __future__ import annotations

from dataclasses import dataclass


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
