"""Named servers: ``servers.toml`` in the configuration folder of the user.

default = "fedora"

[servers.fedora]
url = "https://mbs.example.com"
auth = "oidc"
issuer = "https://id.example.com/realms/builds"
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mbs.client.address import NoServer, find_server
from mbs.client.rest import base_url
from mbs.errors import InvalidInput

FILE = "servers.toml"
#: Name of the service that ``mbs up`` runs on this machine.
LOCAL = "local"
MAX_SIZE = 100_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_KEYS = ("url", "auth", "issuer")


class Auth(StrEnum):
    """The credentials that are sent to a server."""

    OIDC = "oidc"
    TOKEN = "token"  # noqa: S105  (a kind, not a token)
    NONE = "none"


@dataclass(frozen=True)
class Server:
    """A server that the user has named.

    Attributes:
        name: Its name; empty if it has none.
        url: Its URL, without the path of the API.
        auth: Which credentials are sent to it.
        own: Whether it is the standalone service of the user on this machine.
        issuer: The only OpenID provider at which the user logs in for it; empty: the server names one.
    """

    name: str
    url: str
    auth: Auth = Auth.OIDC
    own: bool = False
    issuer: str = ""


@dataclass(frozen=True)
class Servers:
    """The servers of the configuration file.

    Attributes:
        named: Name -> server.
        default: Name of the server that is used if none is named; empty if there is none.
    """

    named: Mapping[str, Server]
    default: str = ""


def config_dir() -> Path:
    """Return ``$XDG_CONFIG_HOME/mbs``, or ``~/.config/mbs``. Relative values are ignored."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path.home() / ".config"
    return base / "mbs"


def read() -> Servers:
    """Return the servers of the configuration file; none if there is no file.

    Raises:
        InvalidInput: The file is not valid.
    """
    path = config_dir() / FILE
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        return Servers({})
    if len(text) > MAX_SIZE:
        raise _invalid(path, f"it is larger than {MAX_SIZE} bytes")
    try:
        content = tomllib.loads(text.decode("utf-8"))
    except ValueError as error:
        raise _invalid(path, str(error)) from error
    if unknown := sorted(content.keys() - {"default", "servers"}):
        raise _invalid(path, f"the key {unknown[0]!r} is unknown; known are 'default' and 'servers'")
    tables = content.get("servers", {})
    if not isinstance(tables, dict):
        raise _invalid(path, "'servers' is not a table")
    named = {name: _server(path, name, table) for name, table in tables.items()}
    default = content.get("default", "")
    if default and default != LOCAL and default not in named:
        raise _invalid(path, f"the default {default!r} is not one of its servers")
    return Servers(named, default)


def find(chosen: str | None) -> Server:
    """Return the server that a command uses.

    Args:
        chosen: Name or URL from ``--server`` or ``MBS_SERVER``. Without it, the default of the file is used,
            otherwise the standalone service of the user on this machine.

    Raises:
        InvalidInput: There is no such name, or the URL or the file is not valid.
        NoServer: No server is named, and none runs on this machine.
    """
    known = read()
    wanted = chosen or known.default
    if wanted in known.named:
        return known.named[wanted]
    if wanted == LOCAL or not wanted:
        return _running(wanted)
    url = base_url(wanted)
    same = [server for server in known.named.values() if server.url == url]
    if same:
        return same[0]
    if known.named and _NAME.fullmatch(wanted) and wanted != "localhost":
        raise InvalidInput(
            f"There is no server named {wanted!r} in {config_dir() / FILE}.",
            code="unknown_server",
            hint=f"Names are {', '.join(sorted(known.named))}. Write an address as http://host:port.",
        )
    return Server("", url)


def _running(wanted: str) -> Server:
    try:
        url, _ = find_server(None)
    except NoServer as error:
        if not wanted:
            raise
        raise NoServer(
            "No Module Build Service of yours runs on this machine.", hint="Start one with `mbs up`."
        ) from error
    return Server(LOCAL, base_url(url), own=True)


def _server(path: Path, name: str, table: Any) -> Server:
    where = f"the server {name[:64]!r}"
    if not _NAME.fullmatch(name) or name == LOCAL:
        raise _invalid(path, f"{where} needs a name of letters, digits, '-' and '_' other than '{LOCAL}'")
    if not isinstance(table, dict) or not isinstance(table.get("url"), str):
        raise _invalid(path, f"{where} has no 'url'")
    if unknown := sorted(table.keys() - set(_KEYS)):
        raise _invalid(
            path, f"the key {unknown[0]!r} of {where} is unknown; known are {', '.join(map(repr, _KEYS))}"
        )
    try:
        auth = Auth(table.get("auth", Auth.OIDC))
    except ValueError as error:
        raise _invalid(path, f"'auth' of {where} is not one of {', '.join(Auth)}") from error
    issuer = table.get("issuer", "")
    if not isinstance(issuer, str):
        raise _invalid(path, f"'issuer' of {where} is not a text")
    try:
        return Server(name, base_url(table["url"]), auth, issuer=issuer)
    except InvalidInput as error:
        raise _invalid(path, f"{where}: {error.message}") from error


def _invalid(path: Path, reason: str) -> InvalidInput:
    return InvalidInput(
        f"{path} is not valid: {reason}.",
        code="bad_servers_file",
        hint="Correct the file; the documentation of logins describes it.",
    )
