"""Follow module builds until nothing more happens to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mbs.client.rest import Client, Refused, Unreachable
from mbs.client.snapshot import Build, read_build
from mbs.errors import MBSError


@dataclass(frozen=True)
class Snapshot:
    """The watched builds at one moment.

    Attributes:
        outage: Why the server cannot be asked just now; then ``builds`` are as last known.
    """

    builds: tuple[Build, ...]
    outage: str = ""

    @property
    def over(self) -> bool:
        return all(build.over for build in self.builds)

    @property
    def succeeded(self) -> bool:
        return all(build.succeeded for build in self.builds)


def watch(
    client: Client,
    build_ids: Sequence[int],
    *,
    interval: float = 2.0,
    patience: float = 300.0,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Snapshot]:
    """Snapshots, one each ``interval`` seconds; the last one has all builds over.

    A server that is away for less than ``patience`` seconds does not end it; one that was never
    there does at once.

    Raises:
        MBSError: What the client raises; ``Unreachable`` only when patience is over.
    """
    builds: dict[int, Build] = {}
    away_since: float | None = None
    while True:
        try:
            for build_id in build_ids:
                if build_id not in builds or not builds[build_id].over:
                    builds[build_id] = look(client, build_id)
            away_since, outage = None, ""
        except (Refused, Unreachable) as error:
            away_since = clock() if away_since is None else away_since
            if not _passes(error) or len(builds) < len(set(build_ids)) or clock() - away_since > patience:
                raise
            outage = error.message
        snapshot = Snapshot(tuple(builds[build_id] for build_id in dict.fromkeys(build_ids)), outage)
        yield snapshot
        if snapshot.over:
            return
        sleep(interval)


def look(client: Client, build_id: int) -> Build:
    """One build and its components now."""
    data = client.build(build_id)
    return read_build(data, client.components(build_id))


def _passes(error: MBSError) -> bool:
    return isinstance(error, Unreachable) or (isinstance(error, Refused) and error.transient)
