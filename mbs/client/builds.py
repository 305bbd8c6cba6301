"""Commands for module builds: submit, watch, cancel, list, show, about."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO

import click
from rich.console import Console
from rich.table import Table

from mbs.client.display import duration, follow, state_word
from mbs.client.endings import ending
from mbs.client.options import BUILD_FAILED, EXIT_CODES, SUCCESS, finish, print_json, with_client
from mbs.client.rest import Client, Json
from mbs.client.snapshot import Build, read_build
from mbs.client.submission import submission_options
from mbs.client.watching import fetch_build
from mbs.client.watching import watch as snapshots
from mbs.states import BUILD_STATES
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
    if not as_json:
        for build in map(read_build, answer):
            click.echo(f"{build.id} {build.nsvc} {build.word}")
    if watching:
        follow_to_end(client, [int(build["id"]) for build in answer], interval, as_json)
    elif as_json:
        print_json(answer)


@click.command(epilog=EXIT_CODES)
@click.argument("build_ids", metavar="ID...", type=click.IntRange(min=1), nargs=-1, required=True)
@INTERVAL
@AS_JSON
@with_client
def watch(client: Client, build_ids: Sequence[int], interval: float, as_json: bool) -> None:
    """Follow module builds until they are ready or have failed.

    A restart of the server does not stop it. Ctrl-C stops watching, not the builds.
    """
    follow_to_end(client, build_ids, interval, as_json)


def follow_to_end(client: Client, build_ids: Sequence[int], interval: float, as_json: bool) -> None:
    """Show builds until they end, and exit with the code for their result."""
    stream: TextIO = sys.stderr if as_json else sys.stdout
    last = follow(snapshots(client, build_ids, interval=interval), stream)
    for build in last.builds:
        for line in ending(build, client.server):
            print(line, file=stream)
    if as_json:
        print_json([client.build(build_id) for build_id in dict.fromkeys(build_ids)])
    finish(SUCCESS if last.succeeded else BUILD_FAILED)


@click.command(epilog=EXIT_CODES)
@click.argument("build_id", metavar="ID", type=click.IntRange(min=1))
@AS_JSON
@with_client
def cancel(client: Client, build_id: int, as_json: bool) -> None:
    """Cancel a module build that is not finished."""
    answer = client.cancel(build_id)
    if as_json:
        print_json(answer)
    else:
        build = read_build(answer)
        click.echo(f"{build.id} {build.nsvc} {build.word}: {build.reason}")


@click.command("list", epilog=EXIT_CODES)
@click.option(
    "--state", "states", multiple=True, type=click.Choice(sorted(BUILD_STATES)), help="State; repeatable."
)
@click.option("--name", help="Name of the module.")
@click.option("--stream", help="Stream of the module.")
@click.option("--nsvc", metavar="N[:S[:V[:C]]]", help="Name, stream, version and context.")
@click.option("--by", "owner_of", metavar="OWNER", help="Only builds of this owner.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Number of builds.")
@AS_JSON
@with_client
def list_builds(
    client: Client,
    states: Sequence[str],
    name: str | None,
    stream: str | None,
    nsvc: str | None,
    owner_of: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List module builds, newest first."""
    texts = {"name": name, "stream": stream, "nsvc": nsvc, "owner": owner_of}
    params: dict[str, str | Sequence[str]] = {key: value for key, value in texts.items() if value}
    if states:
        params["state"] = list(states)
    found = list(client.builds(params, limit=limit))
    if as_json:
        print_json(found)
        return
    table = Table("ID", "module", "state", "owner", "submitted", box=None, pad_edge=False)
    for data in found:
        build = read_build(data)
        when = f"{build.submitted:%Y-%m-%d %H:%M}" if build.submitted else ""
        table.add_row(str(build.id), build.nsvc, build.word, printable(data.get("owner") or ""), when)
    print_table(table)


@click.command(epilog=EXIT_CODES)
@click.argument("build_id", metavar="ID", type=click.IntRange(min=1))
@AS_JSON
@with_client
def show(client: Client, build_id: int, as_json: bool) -> None:
    """Show one module build and its components."""
    if as_json:
        print_json(client.build(build_id, verbose=True) | {"components": client.components(build_id)})
        return
    build = fetch_build(client, build_id)
    click.echo(f"{build.nsvc}  #{build.id}  {build.word}  {duration(build.seconds(datetime.now(UTC)))}")
    for label, text in (("reason", build.reason), ("do", build.hint), ("waiting", build.waiting_for)):
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
    """Return a table of all components: batch, package, state, NVR, seconds and log."""
    now = datetime.now(UTC)
    table = Table("batch", "package", "state", "NVR", "seconds", "log", box=None, pad_edge=False)
    table.columns[4].justify = "right"
    for component in build.components:
        seconds = component.seconds(now)
        table.add_row(
            str(component.batch or ""),
            component.package,
            state_word(component),
            component.nvr,
            "" if seconds is None else f"{seconds:.0f}",
            component.url,
        )
    return table


def print_table(table: Table) -> None:
    """Print a table. Outside a terminal, its lines are not cut."""
    wide = None if sys.stdout.isatty() else 1000
    Console(highlight=False, width=wide, markup=False).print(table)
