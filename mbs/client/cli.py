"""The ``mbs`` command."""

from __future__ import annotations

from importlib import metadata

import click

from mbs.client import (
    acting,
    builds,
    comparing,
    documents,
    importing,
    listing,
    logs,
    queue,
    subscribing,
    tokens,
)
from mbs.client.demo.command import demo
from mbs.client.options import EXIT_CODES, Group
from mbs.client.plan import plan
from mbs.client.up.command import up


def version() -> str:
    """Return the version of the installed package. A checkout that is not installed has none."""
    try:
        return metadata.version("mbs")
    except metadata.PackageNotFoundError:
        return "(checkout)"


@click.group(
    cls=Group,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(version(), prog_name="mbs")
def main() -> None:
    """Build modules of RPM packages.

    The commands use the Module Build Service at --server or MBS_SERVER, otherwise the one that `mbs up` runs
    on this machine.
    """


for command in (
    up,
    demo,
    builds.submit,
    plan,
    builds.watch,
    logs.logs,
    queue.queue,
    acting.cancel,
    acting.retry,
    acting.rebuild,
    acting.retire,
    listing.list_builds,
    comparing.diff,
    builds.show,
    builds.about,
    importing.import_modules,
    tokens.token,
    *subscribing.commands,
    *documents.commands,
):
    main.add_command(command)
