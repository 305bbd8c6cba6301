"""Provide the RPMs of required modules that were not built on this machine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from mbs.client.local import earlier_builds
from mbs.client.local.beginning import Supply
from mbs.client.local.host_modules import HostModules
from mbs.client.local.other_service import OtherService
from mbs.nsvc import NSVC

Say = Callable[[str], None]


def supplier(
    data: Path,
    say: Say,
    *,
    modules_from: str = "",
    host: bool = False,
    offline: bool = False,
    present: Collection[NSVC] = (),
) -> Supply:
    """Return the function that takes the RPMs of required modules into a data folder.

    Args:
        data: The data folder.
        say: Called with lines for the user.
        modules_from: URL of another service that has modules.
        host: Take modules from dnf's repositories.
        offline: Take modules from dnf's caches.
        present: Modules that are in the data folder: earlier local builds.
    """

    def supply(wanted: Sequence[NSVC]) -> None:
        missing = [nsvc for nsvc in wanted if nsvc not in present]
        if missing and modules_from:
            with OtherService(modules_from, say) as other:
                _take(other, missing, data)
        elif missing and (host or offline):
            _take(HostModules(say, offline=offline), missing, data)

    return supply


def _take(place: OtherService | HostModules, wanted: Sequence[NSVC], data: Path) -> None:
    for nsvc in wanted:
        if found := place.module(nsvc):
            earlier_builds.take(found, data)
