"""The command ``mbs queue``: show the queue for slots, and when builds are expected to be ready."""

from __future__ import annotations

from collections.abc import Iterable

import click
from rich.table import Table

from mbs.client.builds import AS_JSON, print_table
from mbs.client.options import EXIT_CODES, print_json, with_client
from mbs.client.rest import Client, Json
from mbs.client.snapshot import clean, minute, read_outlooks, read_time
from mbs.errors import NotSupported
from mbs.text import printable_values


@click.command(epilog=EXIT_CODES)
@AS_JSON
@with_client
def queue(client: Client, as_json: bool) -> None:
    """Show which owners have slots or wait for them, the next components, and when builds are ready."""
    answer = client.queue()
    if not answer:
        raise NotSupported(
            f"{client.server} does not provide its queue.", hint="The server may be older than this client."
        )
    if as_json:
        print_json(answer)
        return
    answer = printable_values(answer)
    slots = answer.get("slots") or "any number"
    click.echo(f"slots: {slots}, building: {answer.get('building')}, waiting: {answer.get('waiting')}")
    click.echo(clean(answer.get("rule")))
    if note := clean(answer.get("note")):
        click.echo(note)
    if owners := _objects(answer.get("owners")):
        print_table(_owners(owners))
    elif not note:
        click.echo("No component builds or waits for a slot.")
    if following := _objects(answer.get("next")):
        print_table(_next(following))
    outlooks = read_outlooks(answer)
    for number in sorted(outlooks, key=lambda each: outlooks[each].ready):
        click.echo(f"build {number}: {outlooks[number]}")


def _objects(value: object) -> list[Json]:
    """Return the objects in a list of the answer; none if it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _owners(loads: Iterable[Json]) -> Table:
    """Return the owners who have slots or wait for them."""
    table = Table("owner", "has", "waits for", box=None, pad_edge=False)
    for load in loads:
        table.add_row(*(clean(load.get(key)) for key in ("owner", "building", "waiting")))
    return table


def _next(components: Iterable[Json]) -> Table:
    """Return the components that get the next slots."""
    table = Table("place", "next component", "build", "owner", "starts about", box=None, pad_edge=False)
    for each in components:
        start = read_time(each.get("start"))
        names = (clean(each.get(key)) for key in ("place", "package", "build", "owner"))
        table.add_row(*names, minute(start) if start else "not known")
    return table
