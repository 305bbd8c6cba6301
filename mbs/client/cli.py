"""The ``mbs`` command."""

from __future__ import annotations

from importlib import metadata

import click

from mbs.client import (
    acting,
    builds,
    comparing,
    completing,
    documents,
    following,
    importing,
    listing,
    logs,
    queue,
    subscribing,
    tokens,
)
from mbs.client.demo.command import demo
from mbs.client.local.command import local
from mbs.client.login import list_servers, login, logout
from mbs.client.options import EXIT_CODES, Group, choose_server
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
@click.option("--server", metavar="NAME|URL", help="Name or URL of the server for the command.")
@click.pass_context
def main(context: click.Context, server: str | None) -> None:
    """Build modules of RPM packages.

    The commands use the Module Build Service at --server or MBS_SERVER: a URL, or a name of servers.toml in
    the configuration folder. Otherwise they use the default of that file, or the service that `mbs up` runs
    on this machine, which has the name local.
    """
    choose_server(context, server)


for command in (
    up,
    demo,
    local,
    builds.submit,
    plan,
    following.watch,
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
    login,
    logout,
    list_servers,
    tokens.token,
    completing.completion,
    *subscribing.commands,
    *documents.commands,
):
    main.add_command(command)
