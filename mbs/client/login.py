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
from mbs.client.logins import Provider
from mbs.client.options import EXIT_CODES, SERVER, chosen_server, print_json
from mbs.client.rest import Client, Json, Refused, UnexpectedAnswer
from mbs.client.servers import Auth, Server
from mbs.errors import Conflict, InvalidInput
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
@click.option("--yes", is_flag=True, help="Agree to log in at the provider that the server names.")
@AS_JSON
def login(server: str | None, from_input: bool, browser: bool, yes: bool, as_json: bool) -> None:
    """Log in at a server, and keep the token for the other commands.

    The server names a provider. The command shows which, and asks whether you agree. Then it shows an address
    and a code. Open the address with any browser, log in there, and enter the code. The token is kept in the
    keyring of the desktop if there is one, otherwise in a file that only you can read.
    """
    at = chosen_server(server)
    if at.auth is Auth.NONE:
        raise InvalidInput(
            f"No credentials are sent to the server {at.name}.",
            code="no_logins",
            hint=f"Change its 'auth' in {servers.config_dir() / servers.FILE}.",
        )
    provider.require_encryption(at.url, "server")
    offer = None if from_input else _agreed(at, yes)
    kept = _by_device(at, offer, browser) if offer else logins.Login(_read_token())
    with Client(at.url, token=kept.token) as client:
        me = client.me()
    username = str(me.get("username") or "")
    stored = logins.Login(**{**vars(kept), "username": username})
    with logins.lock():
        place = logins.save(at.url, stored, offer)
    if as_json:
        print_json({"server": at.url, "username": username, "kept": place})
        return
    where = f" ({logins.path()})" if place == logins.IN_FILE else ""
    click.echo(printable(f"Logged in at {at.url} as {username}. The token is {_PLACES[place]}{where}."))


@click.command(epilog=EXIT_CODES)
@SERVER
@click.option(
    "--forget-provider",
    is_flag=True,
    help="Forget also at which provider you logged in, so that the server can name another.",
)
@AS_JSON
def logout(server: str | None, forget_provider: bool, as_json: bool) -> None:
    """Delete the stored token of a server.

    It stays valid until it expires. `mbs token revoke` revokes API tokens.
    """
    at = chosen_server(server)
    with logins.lock():
        deleted = logins.delete(at.url, provider=forget_provider)
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


def _agreed(at: Server, yes: bool) -> Provider:
    """Return the provider that a server names, if the user agrees to log in there.

    Raises:
        Conflict: The server names another provider than before, or than servers.toml.
        InvalidInput: The user does not agree.
    """
    offer, before = _offered(at), logins.agreed(at.url)
    wanted = at.issuer or (before.issuer if before else "")
    if wanted and offer.issuer != wanted:
        raise _other_provider(at, offer, wanted)
    if offer == before or yes:
        return offer
    click.echo(
        printable(f"{at.url} asks you to log in at {offer.host} and gets the token of this login.")
        + f"\n  provider:  {printable(offer.issuer)}\n  client:    {printable(offer.client_id)}"
        + f"\n  scopes:    {printable(' '.join(offer.scopes))}",
        err=True,
    )
    try:
        agreed = click.confirm("Do you trust this server with such a token?", err=True)
    except click.Abort:  # also at the end of standard input
        agreed = False
    if not agreed:
        raise InvalidInput(
            f"You have not agreed to log in at {offer.host}.",
            code="not_agreed",
            hint="`mbs login --yes` agrees without a question.",
        )
    return offer


def _other_provider(at: Server, offer: Provider, wanted: str) -> Conflict:
    file = servers.config_dir() / servers.FILE
    where, remedy = (
        (f"but {file} names {wanted}", f"change 'issuer' in {file}.")
        if at.issuer
        else (f"but named {wanted} before", "run `mbs logout --forget-provider`, and log in again.")
    )
    return Conflict(
        f"{at.url} names the provider {offer.issuer}, {where}. It may want a token that is valid elsewhere.",
        code="other_provider",
        hint=f"Ask the operators of the server. If they confirm the change, {remedy}",
    )


def _offered(at: Server) -> Provider:
    """Return the login that a server offers."""
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
        raise UnexpectedAnswer(f"{at.url} describes its login in a form that mbs does not know.")
    if len(issuer) + len(client_id) + len(" ".join(map(str, scopes))) > provider.MAX_TEXT:
        raise UnexpectedAnswer(f"{at.url} describes its login in more than {provider.MAX_TEXT} characters.")
    if not issuer.isascii():  # it could look like another one
        raise UnexpectedAnswer(f"{at.url} names a provider with other characters than ASCII: {issuer}.")
    return Provider(issuer, client_id, tuple(map(str, scopes)))


def _by_device(at: Server, offer: Provider, browser: bool) -> logins.Login:
    device = provider.begin(offer, at.url)
    name, address, code = map(printable, (device.provider, device.address, device.code))
    click.echo(
        f"To log in at {at.url}, open this page of {name}:\n\n    {address}\n\nand enter the code:  {code}\n",
        err=True,
    )
    if browser:
        webbrowser.open(device.whole_address or device.address)
    click.echo("Waiting for the confirmation. Ctrl-C stops.", err=True)
    return provider.wait(device)
