"""Commands for API tokens: ``mbs token create``, ``list`` and ``revoke``."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table

from mbs.client.builds import AS_JSON, print_table
from mbs.client.options import EXIT_CODES, print_json, with_client
from mbs.client.rest import Client, Json
from mbs.client.snapshot import local_time, read_time
from mbs.text import printable, printable_values

SCOPES = ("submit", "cancel", "import", "admin")


@click.group(epilog=EXIT_CODES)
def token() -> None:
    """Create, list and revoke API tokens, with which programs act in your name.

    Creating one needs a login: use `mbs login` first, or pass the token of your OpenID provider as --token or
    MBS_TOKEN.
    """


@token.command(epilog=EXIT_CODES)
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="Operation that it permits. Repeatable. [default: submit, cancel]",
)
@click.option("--days", type=click.IntRange(min=1), help="Days until it expires. [default: 30]")
@AS_JSON
@with_client
def create(client: Client, name: str, scopes: Sequence[str], days: int | None, as_json: bool) -> None:
    """Create a token and print it. It cannot be shown again.

    NAME describes the purpose of the token.
    """
    body: Json = {"name": name}
    if scopes:
        body["scopes"] = list(scopes)
    if days:
        body["days"] = days
    made = client.create_token(body)
    if as_json:
        print_json(made)
        return
    made = printable_values(made)
    click.echo(made["token"])
    click.echo(f"Token {made['id']}: {_scopes(made)}; until {_time(made['time_expires'])}.", err=True)


@token.command("list", epilog=EXIT_CODES)
@AS_JSON
@with_client
def list_tokens(client: Client, as_json: bool) -> None:
    """List your tokens, newest first."""
    found = list(client.tokens())
    if as_json:
        print_json(found)
        return
    found = printable_values(found)
    table = Table("ID", "name", "token", "scopes", "until", "last used", "", box=None, pad_edge=False)
    for each in found:
        revoked = "revoked" if each.get("time_revoked") else ""
        used = _time(each.get("time_last_used")) or "never"
        table.add_row(
            *(str(each["id"]), str(each["name"]), f"{each['start']}...", _scopes(each)),
            *(_time(each["time_expires"]), used, revoked),
        )
    print_table(table)


@token.command(epilog=EXIT_CODES)
@click.argument("token_id", metavar="ID", type=click.IntRange(min=1))
@AS_JSON
@with_client
def revoke(client: Client, token_id: int, as_json: bool) -> None:
    """Revoke a token."""
    answer = client.revoke_token(token_id)
    if as_json:
        print_json(answer)
    else:
        click.echo(printable(f"{answer['id']} {answer['name']} revoked"))


def _time(value: object) -> str:
    """Return a time of the server as local time; empty if there is none."""
    time = read_time(value)
    return local_time(time) if time else ""


def _scopes(token: Json) -> str:
    return ", ".join(map(str, token.get("scopes") or ()))
