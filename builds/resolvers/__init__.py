"""Where modules that others depend on are looked up: the ``Universe`` of stream expansion, by ``RESOLVER``.

``db``: this service's own builds. ``mbs`` and ``local``, for builds on a developer's machine: those too,
and behind them another service, or the repositories of this machine.
"""

from __future__ import annotations

from functools import cache
from typing import Protocol

from builds.resolvers.layered import LayeredUniverse
from builds.resolvers.remote import RemoteUniverse
from builds.resolvers.repositories import RepositoryUniverse
from builds.selectors.universe import DatabaseUniverse
from mbs.client.rest import Client
from mbs.errors import NotSupported
from mbs.expansion import Universe

__all__ = ["LayeredUniverse", "RemoteUniverse", "RepositoryUniverse", "universe"]


class Options(Protocol):
    """The part of the configuration that decides."""

    RESOLVER: str
    MBS_URL: str
    MODULE_REPOSITORIES: tuple[object, ...]


def universe(options: Options) -> Universe:
    """The configured universe.

    :raises NotSupported: there is no such resolver yet.
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
        f"Modules cannot be resolved by {options.RESOLVER}.",
        code="resolver_not_supported",
        hint="Set RESOLVER to db, mbs or local.",
    )


@cache
def _client(url: str) -> Client:
    """One for each process, so that connections are kept."""
    return Client(url)
