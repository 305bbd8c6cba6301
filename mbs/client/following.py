"""The command ``mbs watch``: in full screen on a terminal, otherwise as lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

import click

from mbs.client import arguments
from mbs.client.board import Board
from mbs.client.builds import AS_JSON, INTERVAL, follow_to_end
from mbs.client.listing import myself
from mbs.client.options import EXIT_CODES, SUCCESS, finish, with_client
from mbs.client.rest import Client

#: The library of the full-screen view, and the extra that installs it.
_LIBRARY, _EXTRA = "textual", "terminal"


@click.command(epilog=EXIT_CODES)
@arguments.build_ids("[ID...]", required=False)
@click.option("--mine", is_flag=True, help="Without an ID: only your builds.")
@click.option("--plain", is_flag=True, help="Print lines instead of using the full screen.")
@click.option(
    "--notify",
    is_flag=True,
    help="Notify the desktop, or ring the bell, when they have ended.",
)
@INTERVAL
@AS_JSON
@with_client
def watch(
    client: Client,
    build_ids: Sequence[int],
    mine: bool,
    plain: bool,
    notify: bool,
    interval: float,
    as_json: bool,
) -> None:
    """Follow module builds until they are ready or have failed.

    On a terminal, the view uses the full screen: a line for each build, with components, logs and actions.
    Press ? for the keys. Without an ID, it shows all active and the latest builds.

    In a pipe, or with --plain or --json, a line is printed for each change. Without an ID, the builds that
    are active now are followed.

    A restart of the server does not stop it. Ctrl-C stops watching, not the builds.
    """
    if build_ids and mine:
        raise click.UsageError("--mine is only for the list of all builds: leave out the IDs.")
    owner = myself(client) if mine else ""
    board = Board(client, build_ids, owner=owner, interval=interval)
    board.read()
    whole = not plain and not as_json and _is_terminal()
    if whole and find_spec(_LIBRARY) is None:
        click.echo(
            "The full-screen view is not installed. Run in the checkout of the service: "
            f"pip install '.[{_EXTRA}]'",
            err=True,
        )
        whole = False
    if whole and not (build_ids and board.ended):
        code = _full_screen(board, notify)
        if not build_ids or code != SUCCESS:
            finish(code)
    ids = build_ids or sorted(number for number, build in board.builds.items() if not build.ended)
    if not ids:
        click.echo("No builds are active.", err=as_json)
        finish(SUCCESS)
    follow_to_end(client, ids, interval, as_json, notifies=notify, animated=not plain)


def _is_terminal() -> bool:
    usable = os.environ.get("TERM", "dumb") != "dumb"
    return usable and sys.stdin.isatty() and sys.stdout.isatty()


def _full_screen(board: Board, notify: bool) -> int:
    """Show the full-screen view until it is left, and return its exit code."""
    # Imported here: no other command needs it, and it takes long.
    from mbs.client.fullscreen.app import Watch

    return Watch(board, notifies=notify).run() or SUCCESS
