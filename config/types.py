"""Types of options, which validate their values, and the base class of their groups."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

#: Minimum length of a secret key, as in Django's check security.W009.
KEY_LENGTH = 50
KEY_BYTES = 16


class Group(BaseModel):
    """A group of options. The docstring of a subclass, without its full stop, is the title of the group."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        str_strip_whitespace=True,
        hide_input_in_errors=True,
    )


@dataclass(frozen=True)
class Masked:
    """Marks an option whose value is never shown. ``show`` returns the text to show instead."""

    show: Callable[[str], str]


STARS = "********"
#: Names of secrets in queries and mappings: ``password``, ``sslkey``, ``access_token``, ...
SECRETS = re.compile(r"passw|pwd|secret|token|key|credential|auth", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """Return the text with passwords in URLs replaced by asterisks, both before the host and in the query."""
    if "://" not in text:
        return text
    # A password may contain any character, so it extends to the last "@" of the word.
    text = re.sub(r"(?<=://)([^/?#@:\s]*):\S*@", rf"\1:{STARS}@", text)
    # Git forges accept a token in place of user and password.
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
    # MBS 3.9.2 uses SQLAlchemy, whose scheme may name a driver after a plus sign.
    scheme = scheme.partition("+")[0]
    if scheme in ("postgresql", "postgres") and urlsplit(url).path.strip("/"):
        return f"postgresql://{rest}"
    if scheme == "sqlite" and rest.startswith("/") and rest.strip("/"):
        return f"sqlite://{rest}"
    raise ValueError("it must be postgresql://user:password@host/name or sqlite:////absolute/path")


def _broker_url(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "redis+socket://", "sentinel://", "memory://")):
        raise ValueError("it must be the URL of a Redis server, such as redis://127.0.0.1:6379/0")
    return url


def _web_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must be a URL that begins with http:// or https:// and names a host")
    return url


def _front(text: str) -> str:
    """Return the address or network of a front server."""
    if text == "unix:":
        return text
    try:
        return str(ipaddress.ip_network(text)) if "/" in text else str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ValueError(f"it must be an IP address, a network or 'unix:': {error}") from error


def _ldap_url(url: str) -> str:
    if url and not re.match(r"ldaps?://.", url):
        raise ValueError("it must begin with ldap:// or ldaps://")
    return url


def _with_slash(url: str) -> str:
    return url.rstrip("/") + "/" if url else url


def _in_order(value: object) -> object:
    """Sort a set. Its order differs between processes, and workers must agree on precedence."""
    return sorted(value, key=str) if isinstance(value, set | frozenset) else value


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from error
    return text


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _key(value: object) -> object:
    """Return a secret key as text. The default of MBS 3.9.2, ``os.urandom``, yields bytes."""
    if isinstance(value, str | bytes) and not value.strip():
        raise ValueError("it must not be empty")
    if isinstance(value, str):
        value = value.strip()
    if isinstance(value, bytes):
        if len(value) < KEY_BYTES:
            raise ValueError(f"it must have at least {KEY_BYTES} bytes")
        # The hash has the required length, whatever the number of bytes.
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, str) and (len(value) < KEY_LENGTH or len(set(value)) < 5 or re.search(r"\s", value)):
        raise ValueError(
            f"it must be a random text of at least {KEY_LENGTH} characters without blanks; generate one with "
            "python3 -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return value


def _not_blank(value: object) -> object:
    """Refuse a blank path, since ``Path("")`` is the current folder of the process."""
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


def _audience(audience: str, info: ValidationInfo) -> str:
    if info.data.get("OIDC_ISSUER") and not audience:
        raise ValueError(
            "it must be set with OIDC_ISSUER, otherwise tokens for other services would be accepted"
        )
    return audience


def needs(*options: str) -> AfterValidator:
    """Return a validator that refuses a value if one of the given options, defined before it, is not set.

    Args:
        options: Names of options.
    """

    def check(value: object, info: ValidationInfo) -> object:
        missing = [name for name in options if name in info.data and not info.data[name]]
        if value and missing:
            raise ValueError(f"it needs {' and '.join(missing)}")
        return value

    return AfterValidator(check)


Audience = Annotated[str, AfterValidator(_audience)]
File = Annotated[Path, BeforeValidator(_not_blank), AfterValidator(_absolute)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
Prefix = Annotated[str, AfterValidator(_with_slash)]
LdapUrl = Annotated[str, AfterValidator(_ldap_url)]
LowerCase = BeforeValidator(_lower)

Names = Annotated[tuple[str, ...], BeforeValidator(_in_order), AfterValidator(_distinct)]
Fronts = Annotated[
    tuple[Annotated[str, AfterValidator(_front)], ...], BeforeValidator(_in_order), AfterValidator(_distinct)
]
Pattern = Annotated[str, AfterValidator(_pattern)]
NameStream = Annotated[str, Field(pattern=r"^[^:]+:[^:]+$")]

DatabaseUrl = Annotated[str, AfterValidator(_database_url), Field(repr=False), Masked(_without_password)]
BrokerUrl = Annotated[str, AfterValidator(_broker_url), Field(repr=False), Masked(_without_password)]
Secret = Annotated[str, Field(repr=False), Masked(lambda _: STARS)]
SecretKey = Annotated[str, BeforeValidator(_key), Field(repr=False), Masked(lambda _: STARS)]
