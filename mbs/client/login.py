"""Commands for logins: ``mbs login``, ``mbs logout`` and ``mbs servers``."""

from __future__ import annotations

import re
import sys
import webbrowser
from collections.abc import Mapping

import click
from rich.table import Table

from mbs.client import logins, provider, servers
from mbs.client.address import NoServer
from mbs.client.builds import AS_JSON, print_table
from mbs.client.options import EXIT_CODES, SERVER, chosen_server, print_json
from mbs.client.rest import Client, Json, Refused, UnexpectedAnswer
from mbs.client.servers import Auth, Server
from mbs.errors import InvalidInput
from mbs.text import printable

#: A bearer token (RFC 6750, section 2.1).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,8192}=*")
_PLACES = {logins.KEYRING: "in the keyring", logins.IN_FILE: "in a file that only you can read"}


@click.command(epilog=EXIT_CODES)
@SERVER
@click.option(
    "--token", "from_input", is_flag=True, help="Store a token from standard input, such as an API token."
)
@click.option("--browser", is_flag=True, help="Open the provider's page in a browser.")
@AS_JSON
def login(server: str | None, from_input: bool, browser: bool, as_json: bool) -> None:
    """Log in at a server, and keep the token for the other commands.

    The command shows an address and a code. Open the address with any browser, log in there, and enter the
    code. The token is kept in the keyring of the desktop if there is one, otherwise in a file that only you
    can read.
    """
    at = chosen_server(server)
    if at.auth is Auth.NONE:
        raise InvalidInput(
            f"No credentials are sent to the server {at.name}.",
            code="no_logins",
            hint=f"Change its 'auth' in {servers.config_dir() / servers.FILE}.",
        )
    provider.require_encryption(at.url, "server")
    kept = logins.Login(_read_token()) if from_input else _by_device(at, browser)
    with Client(at.url, token=kept.token) as client:
        me = client.me()
    username = str(me.get("username") or "")
    stored = logins.Login(**{**vars(kept), "username": username})
    with logins.lock():
        place = logins.save(at.url, stored)
    if as_json:
        print_json({"server": at.url, "username": username, "kept": place})
        return
    where = f" ({logins.path()})" if place == logins.IN_FILE else ""
    click.echo(printable(f"Logged in at {at.url} as {username}. The token is {_PLACES[place]}{where}."))


@click.command(epilog=EXIT_CODES)
@SERVER
@AS_JSON
def logout(server: str | None, as_json: bool) -> None:
    """Delete the stored token of a server.

    It stays valid until it expires. `mbs token revoke` revokes API tokens.
    """
    at = chosen_server(server)
    with logins.lock():
        deleted = logins.delete(at.url)
    if as_json:
        print_json({"server": at.url, "deleted": deleted})
    elif deleted:
        click.echo(f"The token for {at.url} is deleted.")
    else:
        click.echo(f"There is no token for {at.url}.")


@click.command("servers", epilog=EXIT_CODES)
@AS_JSON
def list_servers(as_json: bool) -> None:
    """List your servers: those of servers.toml, and the one that `mbs up` runs on this machine."""
    known = servers.read()
    found = [*known.named.values(), *_running()]
    rows: list[Json] = [
        {
            "name": each.name,
            "url": each.url,
            "auth": str(each.auth),
            "login": logins.kept(each.url),
            "default": each.name == (known.default or servers.LOCAL),
        }
        for each in found
    ]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo(f"There are no servers. Name them in {servers.config_dir() / servers.FILE}.")
        return
    table = Table("name", "URL", "auth", "login", "", box=None, pad_edge=False)
    for row in rows:
        login = f"kept {_PLACES[row['login']]}" if row["login"] in _PLACES else ""
        table.add_row(row["name"], row["url"], row["auth"], login, "default" if row["default"] else "")
    print_table(table)


def _running() -> list[Server]:
    try:
        return [servers.find(servers.LOCAL)]
    except NoServer:
        return []


def _read_token() -> str:
    text = click.prompt("Token", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read(10_000)
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise InvalidInput(
            "Standard input contains no token.",
            code="bad_token",
            hint="Send one line: mbs token create NAME | mbs login --token",
        )
    return token


def _by_device(at: Server, browser: bool) -> logins.Login:
    if at.auth is Auth.TOKEN:
        raise InvalidInput(
            f"The server {at.name} takes API tokens only.",
            code="no_device_login",
            hint="Send the token to standard input: mbs login --token",
        )
    with Client(at.url) as client:
        about = client.about()
    offer = about.get("login")
    if not isinstance(offer, Mapping):
        raise Refused(
            501,
            f"{at.url} has no login for command lines.",
            code="no_device_login",
            hint="Create an API token, and store it: mbs login --token",
        )
    issuer, client_id, scopes = (offer.get(name) for name in ("issuer", "client_id", "scopes"))
    if not (isinstance(issuer, str) and isinstance(client_id, str) and isinstance(scopes, list)):
        raise UnexpectedAnswer(f"{at.url} describes its login wrongly.")
    device = provider.begin(issuer, client_id, [str(scope) for scope in scopes])
    name, address, code = map(printable, (device.provider, device.address, device.code))
    click.echo(
        f"To log in at {at.url}, open this page of {name}:\n\n    {address}\n\nand enter the code:  {code}\n",
        err=True,
    )
    if browser:
        webbrowser.open(device.whole_address or device.address)
    click.echo("Waiting for the confirmation. Ctrl-C stops.", err=True)
    return provider.wait(device)
