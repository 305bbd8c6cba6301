"""Look up the modules that stream expansion chooses from (``mbs.expansion.Universe``).

The option ``RESOLVER`` selects the source. ``db``: builds of this service. ``mbs`` and ``local``, for builds
on a developer's machine, add another service, or the repositories of this machine.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, Protocol

from builds.resolvers.layered import LayeredUniverse
from builds.resolvers.remote import RemoteUniverse
from builds.resolvers.repositories import RepositoryUniverse
from builds.selectors.universe import DatabaseUniverse
from mbs.client.rest import Client
from mbs.errors import NotSupported
from mbs.expansion import Universe

__all__ = ["LayeredUniverse", "RemoteUniverse", "RepositoryUniverse", "universe"]


class Options(Protocol):
    """The options that select where required modules are looked up."""

    RESOLVER: Literal["db", "mbs", "local", "koji"]
    MBS_URL: str
    MODULE_REPOSITORIES: tuple[Path, ...]


def universe(options: Options) -> Universe:
    """Return the universe, in which required modules are looked up, that the option ``RESOLVER`` selects.

    Raises:
        NotSupported: No resolver has this name.
    """
    own = DatabaseUniverse()
    match options.RESOLVER:
        case "db":
            return own
        case "mbs":
            return LayeredUniverse(own, RemoteUniverse(_client(str(options.MBS_URL))))
        case "local":
            return LayeredUniverse(own, RepositoryUniverse(map(str, options.MODULE_REPOSITORIES)))
    raise NotSupported(
        f"RESOLVER is {options.RESOLVER}, which is not supported.",
        code="resolver_not_supported",
        hint="Set RESOLVER to db, mbs or local.",
    )


@cache
def _client(url: str) -> Client:
    """Return the client of this process, which keeps its connections."""
    return Client(url)
