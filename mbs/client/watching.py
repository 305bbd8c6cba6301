"""Follow module builds until they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from mbs.client.rest import Client, Refused, Unreachable
from mbs.client.snapshot import Build, read_build, read_outlooks
from mbs.errors import MBSError


@dataclass(frozen=True)
class Snapshot:
    """The state of watched builds at one time.

    Attributes:
        outage: Why the server cannot be reached; ``builds`` are then the last known state.
    """

    builds: tuple[Build, ...]
    outage: str = ""

    @property
    def ended(self) -> bool:
        """Whether all builds have ended."""
        return all(build.ended for build in self.builds)

    @property
    def succeeded(self) -> bool:
        """Whether all builds have succeeded."""
        return all(build.succeeded for build in self.builds)


def watch(
    client: Client,
    build_ids: Sequence[int],
    *,
    interval: float = 2.0,
    outage_timeout: float = 300.0,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Snapshot]:
    """Yield a snapshot every ``interval`` seconds, until all builds have ended.

    An outage of the server is tolerated for ``outage_timeout`` seconds once the builds were read.

    Raises:
        MBSError: Any error of the client; ``Unreachable`` if the outage lasts longer.
    """
    builds: dict[int, Build] = {}
    away_since: float | None = None
    while True:
        try:
            for build_id in build_ids:
                if build_id not in builds or not builds[build_id].ended:
                    builds[build_id] = fetch_build(client, build_id)
            _add_outlooks(client, builds)
            away_since, outage = None, ""
        except (Refused, Unreachable) as error:
            away_since = clock() if away_since is None else away_since
            if (
                not _passes(error)
                or len(builds) < len(set(build_ids))
                or clock() - away_since > outage_timeout
            ):
                raise
            outage = error.message
        snapshot = Snapshot(tuple(builds[build_id] for build_id in dict.fromkeys(build_ids)), outage)
        yield snapshot
        if snapshot.ended:
            return
        sleep(interval)


def _add_outlooks(client: Client, builds: dict[int, Build]) -> None:
    """Add the server's predictions for active builds."""
    active = [build_id for build_id, build in builds.items() if not build.ended]
    outlooks = read_outlooks(client.queue(active)) if active else {}
    for build_id in active:
        builds[build_id] = replace(builds[build_id], outlook=outlooks.get(build_id))


def fetch_build(client: Client, build_id: int) -> Build:
    """Return a build with its components."""
    data = client.build(build_id)
    return read_build(data, client.components(build_id))


def _passes(error: MBSError) -> bool:
    return isinstance(error, Unreachable) or (isinstance(error, Refused) and error.transient)
