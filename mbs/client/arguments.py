"""Arguments that several commands have: ids of builds, tokens and subscriptions."""

from __future__ import annotations

from collections.abc import Callable

import click

from mbs.client.completing import complete_builds
from mbs.client.options import Command

ID = click.IntRange(min=1)
BUILD_ID = click.argument("build_id", metavar="ID", type=ID, shell_complete=complete_builds)


def build_ids(metavar: str, *, required: bool = True) -> Callable[[Command], Command]:
    """Return the argument ``build_ids``: the ids of several builds."""
    return click.argument(
        "build_ids", metavar=metavar, type=ID, nargs=-1, required=required, shell_complete=complete_builds
    )
