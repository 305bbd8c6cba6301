"""The kinds of values that options have, each checked where it is read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

#: Django's own bound (its check security.W009)
LENGTH_OF_KEY = 50
BYTES_OF_KEY = 16


@dataclass(frozen=True)
class Masked:
    """Marks an option whose value is never shown in full; ``show`` makes it presentable."""

    show: Callable[[str], str]


STARS = "********"
#: names of what must stay secret, in queries and mappings: ``password``, ``sslkey``, ``access_token``, ...
SECRETS = re.compile(r"passw|pwd|secret|token|key|credential|auth", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """The text with the passwords of addresses in it starred out, whether before the host or in the query."""
    if "://" not in text:
        return text
    # A password may hold any character: all up to the last "@" of the word is taken for it.
    text = re.sub(r"(?<=://)([^/?#@:\s]*):\S*@", rf"\1:{STARS}@", text)
    # A user without a password is a token to forges.
    text = re.sub(r"(https?://)[^/?#@:\s]+@", rf"\1{STARS}@", text)
    return re.sub(
        r"([?&;]([^=&;?#\s]+)=)[^&;#\s]*",
        lambda found: found[1] + STARS if SECRETS.search(found[2]) else found[0],
        text,
    )


def _without_password(url: str) -> str:
    return without_secrets(url) if "://" in url else STARS


def _database_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    # SQLAlchemy, which the reference uses, names a driver after a plus; Django picks its own.
    scheme = scheme.partition("+")[0]
    if scheme in ("postgresql", "postgres") and urlsplit(url).path.strip("/"):
        return f"postgresql://{rest}"
    if scheme == "sqlite" and rest.startswith("/") and rest.strip("/"):
        return f"sqlite://{rest}"
    raise ValueError("it must be postgresql://user:password@host/name or sqlite:////absolute/path")


def _broker_url(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "redis+socket://", "sentinel://", "memory://")):
        raise ValueError("it must be the url of a Redis server, such as redis://127.0.0.1:6379/0")
    return url


def _web_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must be a url that begins with http:// or https:// and names a host")
    return url


def _ldap_url(url: str) -> str:
    if url and not re.match(r"ldaps?://.", url):
        raise ValueError("it must begin with ldap:// or ldaps://")
    return url


def _with_slash(url: str) -> str:
    return url.rstrip("/") + "/" if url else url


def _in_order(value: object) -> object:
    """Sets come in another order in every process: the workers would disagree about precedence."""
    return sorted(value, key=str) if isinstance(value, set | frozenset) else value


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
    return text


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _key(value: object) -> object:
    """The reference's default is ``os.urandom``: bytes."""
    if isinstance(value, str | bytes) and not value.strip():
        raise ValueError("it must not be empty")
    if isinstance(value, str):
        value = value.strip()
    if isinstance(value, bytes):
        if len(value) < BYTES_OF_KEY:
            raise ValueError(f"it must have at least {BYTES_OF_KEY} bytes")
        # As long as a key has to be, whatever the number of bytes.
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, str) and (
        len(value) < LENGTH_OF_KEY or len(set(value)) < 5 or re.search(r"\s", value)
    ):
        raise ValueError(
            f"it must be a random text of at least {LENGTH_OF_KEY} characters, without blanks; make one with "
            "python3 -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return value


def _not_blank(value: object) -> object:
    """``Path("")`` is the folder that a process happens to be started in."""
    if isinstance(value, str) and not value.strip():
        raise ValueError("it must be a path")
    return value


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
SecondsOrNone = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=1024)]

File = Annotated[Path, BeforeValidator(_not_blank), AfterValidator(_absolute)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
Prefix = Annotated[str, AfterValidator(_with_slash)]
LdapUrl = Annotated[str, AfterValidator(_ldap_url)]
LowerCase = BeforeValidator(_lower)

Names = Annotated[tuple[str, ...], BeforeValidator(_in_order), AfterValidator(_distinct)]
Pattern = Annotated[str, AfterValidator(_pattern)]
NameStream = Annotated[str, Field(pattern=r"^[^:]+:[^:]+$")]

DatabaseUrl = Annotated[str, AfterValidator(_database_url), Field(repr=False), Masked(_without_password)]
BrokerUrl = Annotated[str, AfterValidator(_broker_url), Field(repr=False), Masked(_without_password)]
Secret = Annotated[str, Field(repr=False), Masked(lambda _: STARS)]
SecretKey = Annotated[str, BeforeValidator(_key), Field(repr=False), Masked(lambda _: STARS)]
