"""Commands for module builds: submit, watch, show, about."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO

import click
from rich.console import Console
from rich.table import Table

from mbs.client import notifying
from mbs.client.arguments import BUILD_ID
from mbs.client.display import follow, state_word
from mbs.client.endings import ending
from mbs.client.options import BUILD_FAILED, EXIT_CODES, SUCCESS, finish, print_json, with_client
from mbs.client.rest import Client, Json
from mbs.client.snapshot import Build, duration, local_time, read_build, read_outlooks
from mbs.client.submission import submission_options
from mbs.client.watching import fetch_build
from mbs.client.watching import watch as snapshots
from mbs.text import printable

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the server's JSON.")
INTERVAL = click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two requests.",
)


@click.command(epilog=EXIT_CODES)
@submission_options
@click.option("--watch", "watching", is_flag=True, help="Follow the builds until they end.")
@INTERVAL
@AS_JSON
@with_client
def submit(client: Client, body: Json, watching: bool, interval: float, as_json: bool) -> None:
    """Submit a module build.

    SOURCE is the address of a commit (https://host/path?#COMMIT), a modulemd file, or - for standard input.
    """
    answer = client.submit(body)
    show_submitted(client, answer, watching, interval, as_json)


def show_submitted(
    client: Client, builds: list[Json], watching: bool, interval: float, as_json: bool
) -> None:
    """Print new or resumed builds; follow them to their ends if the user asked for it."""
    if not as_json:
        for build in map(read_build, builds):
            click.echo(f"{build.id} {build.nsvc} {build.word}")
    if watching:
        follow_to_end(client, [int(build["id"]) for build in builds], interval, as_json)
    elif as_json:
        print_json(builds)


def follow_to_end(
    client: Client,
    build_ids: Sequence[int],
    interval: float,
    as_json: bool,
    *,
    notifies: bool = False,
    animated: bool = True,
) -> None:
    """Show builds until they end, and exit with the code for their result.

    Args:
        animated: Whether to show progress bars if the output is a terminal.
    """
    stream: TextIO = sys.stderr if as_json else sys.stdout
    last = follow(snapshots(client, build_ids, interval=interval), stream, animated=animated)
    for build in last.builds:
        for line in ending(build, client.server):
            print(line, file=stream)
    if notifies:
        notifying.notify(last.builds, sys.stderr)
    if as_json:
        print_json([client.build(build_id) for build_id in dict.fromkeys(build_ids)])
    finish(SUCCESS if last.succeeded else BUILD_FAILED)


@click.command(epilog=EXIT_CODES)
@BUILD_ID
@AS_JSON
@with_client
def show(client: Client, build_id: int, as_json: bool) -> None:
    """Show one module build and its components."""
    if as_json:
        print_json(client.build(build_id, verbose=True) | {"components": client.components(build_id)})
        return
    build = fetch_build(client, build_id)
    click.echo(f"{build.nsvc}  #{build.id}  {build.word}  {duration(build.seconds(datetime.now(UTC)))}")
    outlook = None if build.ended else read_outlooks(client.queue([build_id])).get(build_id)
    shown = (
        ("reason", build.reason),
        ("do", build.hint),
        ("waiting", build.waiting_for),
        ("expected", str(outlook or "")),
        ("owner", build.owner),
        ("submitted", local_time(build.submitted) if build.submitted else ""),
        ("ended", local_time(build.completed) if build.completed else ""),
    )
    for label, text in shown:
        if text:
            click.echo(f"  {label}: {text}")
    print_table(components_table(build))
    for line in ending(build, client.server):
        click.echo(line)


@click.command(epilog=EXIT_CODES)
@AS_JSON
@with_client
def about(client: Client, as_json: bool) -> None:
    """Show the server's address and version."""
    answer = client.about()
    if as_json:
        print_json(answer)
        return
    click.echo(f"server: {client.server}")
    for key in sorted(answer):
        click.echo(printable(f"{key}: {answer[key]}"))


def components_table(build: Build) -> Table:
    """Return a table of all components: batch, package, state, why it was built, NVR, seconds and log."""
    now = datetime.now(UTC)
    titles = ("batch", "package", "state", "built because", "NVR", "seconds", "log")
    table = Table(*titles, box=None, pad_edge=False)
    table.columns[5].justify = "right"
    for component in build.components:
        seconds = component.seconds(now)
        table.add_row(
            str(component.batch or ""),
            component.package,
            state_word(component),
            component.why,
            component.nvr,
            "" if seconds is None else f"{seconds:.0f}",
            component.url,
        )
    return table


def print_table(table: Table) -> None:
    """Print a table. Outside a terminal, its lines are not cut."""
    wide = None if sys.stdout.isatty() else 1000
    Console(highlight=False, width=wide, markup=False).print(table)
