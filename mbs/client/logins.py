"""Keep the tokens of the user: in the keyring of the desktop, otherwise in a file for the user only.

``logins.json`` in the configuration folder says for each server where its token is, and at which provider the
user has agreed to log in. It also contains the tokens that no keyring keeps.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mbs.client.servers import config_dir
from mbs.errors import MBSError

FILE, LOCK = "logins.json", "logins.lock"
#: The service under which keyrings show the tokens.
SERVICE = "mbs"
KEYRING, IN_FILE = "keyring", "file"


class KeyringFailed(MBSError):
    """The keyring does not give a token back that it keeps."""

    code = "keyring_failed"


@dataclass(frozen=True)
class Login:
    """The token for a server.

    Attributes:
        token: The bearer token.
        username: Name of the user, as the server knows it.
        refresh_token: The token that gets new ones; empty for API tokens.
        expires_at: Time at which the token expires, in seconds since 1970; None: unknown.
        token_endpoint: The address of the provider that gives new tokens.
        client_id: The client that got the tokens.
    """

    token: str
    username: str = ""
    refresh_token: str = ""
    expires_at: float | None = None
    token_endpoint: str = ""
    client_id: str = ""


@dataclass(frozen=True)
class Provider:
    """A login that a server asks for.

    Attributes:
        issuer: The OpenID provider.
        client_id: The client at the provider that gets the token.
        scopes: The scopes of the token.
    """

    issuer: str
    client_id: str
    scopes: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """Return the host of the provider, which says to whom it belongs."""
        return urlsplit(self.issuer).hostname or self.issuer


def kept(url: str) -> str:
    """Return where the token for a server is: ``keyring``, ``file``, or an empty text if there is none."""
    return str(_entry(url).get("kept", ""))


def load(url: str) -> Login | None:
    """Return the login at a server, or None if there is none.

    Raises:
        KeyringFailed: The keyring keeps the token, and does not give it back.
    """
    entry = _entry(url)
    match entry.get("kept"):
        case "keyring":
            content = _from_keyring(url)
        case "file":
            content = entry.get("login")
        case _:
            return None
    try:
        return Login(**content) if isinstance(content, dict) else None
    except TypeError:
        return None  # another version wrote it


def agreed(url: str) -> Provider | None:
    """Return the provider at which the user has agreed to log in for a server; None if there is none."""
    content: Any = _entry(url).get("provider")
    try:
        return Provider(content["issuer"], content["client_id"], tuple(content["scopes"]))
    except (KeyError, TypeError):
        return None


def save(url: str, login: Login, provider: Provider | None = None) -> str:
    """Store the login at a server.

    Args:
        url: The server.
        login: The login.
        provider: The provider at which the user has agreed to log in; None: as before.

    Returns:
        Where the login is: ``keyring`` or ``file``.
    """
    content, provider = asdict(login), provider or agreed(url)
    entry: dict[str, Any] = {"provider": asdict(provider)} if provider else {}
    if _into_keyring(url, json.dumps(content)):
        _write({**_read(), url: {**entry, "kept": KEYRING}})
        return KEYRING
    _write({**_read(), url: {**entry, "kept": IN_FILE, "login": content}})
    return IN_FILE


def delete(url: str, *, provider: bool = False) -> bool:
    """Delete the login at a server.

    Args:
        url: The server.
        provider: Whether to forget also at which provider the user has agreed to log in.

    Returns:
        Whether there was a login.
    """
    entry, found, rest = _entry(url), kept(url), _read()
    if found == KEYRING:
        _out_of_keyring(url)
    rest.pop(url, None)
    if "provider" in entry and not provider:
        rest[url] = {"provider": entry["provider"]}
    _write(rest)
    return bool(found)


@contextmanager
def lock() -> Iterator[None]:
    """Let one process at a time change logins: providers may accept a refresh token only once."""
    folder = _folder()
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def path() -> Path:
    """Return the path of the file."""
    return config_dir() / FILE


def _folder() -> Path:
    folder = config_dir()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _entry(url: str) -> dict[str, Any]:
    entry = _read().get(url)
    return entry if isinstance(entry, dict) else {}


def _read() -> dict[str, Any]:
    try:
        content = json.loads(path().read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        return {}  # without the file, the user logs in again
    return content if isinstance(content, dict) else {}


def _write(content: dict[str, Any]) -> None:
    """Replace the file at once; ``mkstemp`` makes files that only their owner can read."""
    descriptor, temporary = tempfile.mkstemp(dir=_folder(), prefix=f".{FILE}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
        os.replace(temporary, path())
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _keyring() -> Any:
    """Return the library, or None if it is not installed (extra ``terminal``)."""
    try:
        import keyring
    except ImportError:
        return None
    return keyring


def _into_keyring(url: str, text: str) -> bool:
    """Return whether a keyring keeps a text now; backends fail in many ways, after which the file is used."""
    keyring = _keyring()
    if keyring is None:
        return False
    try:
        keyring.set_password(SERVICE, url, text)
        # Some backends keep nothing, without an error.
        return bool(keyring.get_password(SERVICE, url) == text)
    except Exception:  # noqa: BLE001  (errors of D-Bus, of backends and of the library)
        return False


def _from_keyring(url: str) -> Any:
    keyring = _keyring()
    hint = "Unlock the keyring and try again, or log in again: mbs login."
    if keyring is None:
        raise KeyringFailed("The token is in the keyring, but the library keyring is missing.", hint=hint)
    try:
        text = keyring.get_password(SERVICE, url)
    except Exception as error:
        raise KeyringFailed(f"The keyring cannot be read: {error}.", hint=hint) from error
    try:
        return json.loads(text or "null")
    except ValueError:
        return None


def _out_of_keyring(url: str) -> None:
    keyring = _keyring()
    if keyring is not None:
        with suppress(Exception):  # it may be gone already
            keyring.delete_password(SERVICE, url)
