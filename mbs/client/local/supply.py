"""Provide the RPMs of required modules that were not built on this machine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from mbs.client.local import earlier_builds
from mbs.client.local.beginning import Supply
from mbs.client.local.other_service import OtherService
from mbs.nsvc import NSVC

Say = Callable[[str], None]


def supplier(data: Path, say: Say, *, modules_from: str, present: Collection[str]) -> Supply:
    """Return the function that takes the RPMs of required modules into a data folder.

    Args:
        data: The data folder.
        say: Called with lines for the user.
        modules_from: URL of another service; empty if modules come from none.
        present: Modules that are in the data folder: earlier local builds.
    """
    if not modules_from:
        return lambda _: None
    return partial(_from_service, data, say, modules_from, present)


def _from_service(
    data: Path, say: Say, server: str, present: Collection[str], wanted: Sequence[NSVC]
) -> None:
    missing = [nsvc for nsvc in wanted if str(nsvc) not in present]
    if missing:
        with OtherService(server, say) as other:
            for nsvc in missing:
                if found := other.module(nsvc):
                    earlier_builds.take(found, data)
