"""Commands for subscriptions: ``mbs subscribe``, ``subscriptions`` and ``unsubscribe``."""

from __future__ import annotations

import click
from rich.table import Table

from mbs.client.builds import AS_JSON, print_table
from mbs.client.options import EXIT_CODES, print_json, with_client
from mbs.client.rest import Client, Json
from mbs.text import printable_values


@click.command(epilog=EXIT_CODES)
@click.argument("address")
@click.option("--mail", is_flag=True, help="ADDRESS is a mail address; for admins.")
@click.option("--of", default="", metavar="OWNER", help="Only builds of this owner.")
@click.option("--name", default="", help="Only builds of this module.")
@click.option("--stream", default="", help="Only builds of this stream.")
@click.option("--all-states", is_flag=True, help="Each new state, not only ready and failed.")
@AS_JSON
@with_client
def subscribe(
    client: Client,
    address: str,
    mail: bool,
    of: str,
    name: str,
    stream: str,
    all_states: bool,
    as_json: bool,
) -> None:
    """Have a webhook called, or a mail sent, when module builds are ready or have failed.

    ADDRESS is the https:// address of the webhook. Its secret is printed once.
    """
    body: Json = {"kind": "mail" if mail else "webhook", "address": address, "ended_only": not all_states}
    body |= {key: value for key, value in (("owner", of), ("name", name), ("stream", stream)) if value}
    made = client.subscribe(body)
    if as_json:
        print_json(made)
        return
    made = printable_values(made)
    if made.get("secret"):
        click.echo(made["secret"])
    click.echo(f"Subscription {made['id']}: {made['kind']} to {made['address']}, {_filters(made)}.", err=True)


@click.command(epilog=EXIT_CODES)
@AS_JSON
@with_client
def subscriptions(client: Client, as_json: bool) -> None:
    """List your subscriptions, newest first; admins see all."""
    found = list(client.subscriptions())
    if as_json:
        print_json(found)
        return
    table = Table("ID", "kind", "address", "builds", "subscriber", "", box=None, pad_edge=False)
    for each in printable_values(found):
        stopped = "" if each["active"] else f"stopped: {each['error']}".rstrip(": ")
        table.add_row(
            *(str(each["id"]), str(each["kind"]), str(each["address"]), _filters(each)),
            *(str(each["subscriber"] or ""), stopped),
        )
    print_table(table)


@click.command(epilog=EXIT_CODES)
@click.argument("subscription_id", metavar="ID", type=click.IntRange(min=1))
@AS_JSON
@with_client
def unsubscribe(client: Client, subscription_id: int, as_json: bool) -> None:
    """Delete a subscription."""
    answer = client.unsubscribe(subscription_id)
    if as_json:
        print_json(answer)
    else:
        answer = printable_values(answer)
        click.echo(f"{answer['id']} {answer['kind']} to {answer['address']} deleted")


def _filters(subscription: Json) -> str:
    given = [f"{key} {subscription[key]}" for key in ("owner", "name", "stream") if subscription.get(key)]
    return ", ".join(given) or "all builds"


commands: tuple[click.Command, ...] = (subscribe, subscriptions, unsubscribe)
