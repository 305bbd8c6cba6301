"""Scm urls: ``<scheme>://[<host>]/<path>[?[<modpath>]]#<revision>``, and the allow-list.

The form is defined in docs/contract/rest.md, "Submitting". Urls come from untrusted users, so a url that two
programs could interpret differently is refused. git receives exactly the url that was checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from mbs import names
from mbs.errors import ConfigurationError, Forbidden, InvalidInput

#: Scheme of an scm url -> git's transport.
TRANSPORTS = {
    "file": "file",
    "git": "git",
    "git+file": "file",
    "git+git": "git",
    "git+http": "http",
    "git+https": "https",
    "git+ssh": "ssh",
    "http": "http",
    "https": "https",
    "ssh": "ssh",
}
DEFAULT_PORTS = {"git": 9418, "http": 80, "https": 443, "ssh": 22}
MAX_LENGTH = 2048
FORM = "<scheme>://[<host>]/<path>[?[<modpath>]]#<revision>"

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(/[^?#]*)?")
_AUTHORITY = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_PRINTABLE = re.compile(r"[!-\[\]-~]+")  # ASCII without space, control characters and backslash
_USERINFO = re.compile(r"//[^/?#]*@")


def shown(text: str) -> str:
    """Return a url for a message, shortened and without a password."""
    return _USERINFO.sub("//***@", text[:200] + ("..." if len(text) > 200 else ""))


def _is_path(path: str) -> bool:
    """Return whether a path means the same with and without percent-decoding."""
    decoded = unquote(path, errors="strict")
    return (
        "%" not in decoded
        and "\\" not in decoded
        and decoded.isprintable()
        and decoded.count("/") == path.count("/")
        and not {".", ".."} & set(decoded.split("/"))
    )


@dataclass(frozen=True)
class Address:
    """The address of a repository.

    Attributes:
        scheme: As written, in lower case; ``transport`` is git's name of it.
        host: In lower case; empty for ``file``.
        port: None for the transport's default port.
        path: Absolute path as written, possibly with percent encodings.
    """

    scheme: str
    user: str
    host: str
    port: int | None
    path: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse ``<scheme>://[<host>]/<path>``.

        Raises:
            ValueError: The address is invalid; the message says why.
        """
        if len(text) > MAX_LENGTH:
            raise ValueError(f"it is longer than {MAX_LENGTH} characters")
        if not _PRINTABLE.fullmatch(text):
            raise ValueError("it has a character that a url must not contain")
        match = _ADDRESS.fullmatch(text)
        if not match:
            raise ValueError(f"it is not of the form {FORM}")
        scheme, authority, path = match[1].lower(), match[2], match[3] or ""
        if scheme not in TRANSPORTS:
            raise ValueError(f"the scheme {scheme[:20]!r} is not one of {', '.join(sorted(TRANSPORTS))}")
        try:
            if not _is_path(path):
                raise ValueError
        except ValueError as error:  # UnicodeDecodeError is one too
            raise ValueError(
                "its path contains '.' or '..', or encodes characters that must not be encoded"
            ) from error
        return cls(scheme, *_authority(TRANSPORTS[scheme], authority), path)

    @property
    def transport(self) -> str:
        """Name of the scheme in git."""
        return TRANSPORTS[self.scheme]

    @property
    def url(self) -> str:
        """The url for git."""
        return f"{self.transport}://{self._authority}{self.path.rstrip('/')}"

    @property
    def name(self) -> str:
        """The repository's name: the last part of the path, without ``.git``."""
        return unquote(self.path.rstrip("/").rsplit("/", 1)[-1]).removesuffix(".git")

    @property
    def _authority(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"{user}{self.host}" + (f":{self.port}" if self.port else "")

    def begins_with(self, prefix: Address) -> bool:
        """Return whether this address is under ``prefix``: the same transport, user, host, port and path.

        Unlike in a comparison of texts, ``https://host`` is not a prefix of ``https://host.example.org/x``
        or of ``https://host@example.org/x``. A prefix without host (``https://``) matches every host.
        """
        same_place = not prefix.host or (self.user, self.host, self.port) == (
            prefix.user,
            prefix.host,
            prefix.port,
        )
        return (
            self.transport == prefix.transport
            and same_place
            and unquote(self.path).startswith(unquote(prefix.path))
        )


def _authority(transport: str, text: str) -> tuple[str, str, int | None]:
    """Return ``user``, ``host`` and ``port`` of a url. The caller checks an empty host."""
    if not text:
        return "", "", None
    match = _AUTHORITY.fullmatch(text)
    if not match:
        raise ValueError("its host is not valid (a password is not allowed)")
    if transport == "file":
        raise ValueError("a file url has no host: write file:///path")
    if match["user"] and transport != "ssh":
        raise ValueError(f"a user name is not allowed in a url of the scheme {transport}")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        raise ValueError("its port is not valid")
    return match["user"] or "", match["host"].lower(), None if port == DEFAULT_PORTS[transport] else port


def parse_repository(text: str) -> Address:
    """Parse the address of a repository without a revision, as in components.

    Raises:
        InvalidInput: ``repository_invalid`` (400).
    """
    try:
        address = Address.parse(text)
        _check_repository(address)
    except ValueError as error:
        raise InvalidInput(
            f"The repository {shown(text)!r} cannot be used: {error}.",
            code="repository_invalid",
            hint="Write <scheme>://<host>/<path>, or file:///<path>.",
        ) from error
    return address


def _check_repository(address: Address) -> None:
    if not address.path.strip("/"):
        raise ValueError("it names no repository")
    if not address.host and address.transport != "file":
        raise ValueError("it names no host")


@dataclass(frozen=True)
class ScmUrl:
    """A valid scm url.

    Attributes:
        modpath: Path of the document or its folder inside the repository; usually empty.
        revision: Branch, tag or commit; never begins with ``-``.
    """

    address: Address
    revision: str
    modpath: str = ""

    @classmethod
    def parse(cls, text: str) -> ScmUrl:
        """Parse an scm url.

        Raises:
            InvalidInput: ``scmurl_invalid`` (400); the message says why.
        """
        try:
            return cls._parse(text)
        except ValueError as error:
            raise InvalidInput(
                f"The scmurl {shown(text)!r} is not valid: {error}.",
                code="scmurl_invalid",
                hint=f"Write {FORM}, for example https://src.example.org/modules/foo?#<commit>.",
            ) from error

    @classmethod
    def _parse(cls, text: str) -> ScmUrl:
        location, hash_sign, revision = text.partition("#")
        repository, _, modpath = location.partition("?")
        address = Address.parse(repository)
        _check_repository(address)
        if not hash_sign or not revision:
            raise ValueError("it names no revision after '#'")
        if not names.REF.fits(revision):
            raise ValueError("its revision is not a valid name of a branch, tag or commit")
        modpath = modpath.rstrip("/")
        if modpath and not (_PRINTABLE.fullmatch(modpath) and _is_modpath(modpath)):
            raise ValueError("its path inside the repository is not valid")
        return cls(address, revision, modpath)

    @property
    def repository(self) -> str:
        """The url of the repository for git."""
        return self.address.url

    @property
    def name(self) -> str:
        """The repository's name."""
        return self.address.name

    def __str__(self) -> str:
        return f"{self.repository}?{self.modpath}#{self.revision}"


def _is_modpath(path: str) -> bool:
    return not path.startswith(("/", "-")) and "%" not in path and "?" not in path and _is_path(path)


def parse_prefix(text: str) -> Address:
    """Parse an entry of an allow-list.

    Raises:
        ConfigurationError: The entry can never match.
    """
    try:
        return Address.parse(text)
    except ValueError as error:
        raise ConfigurationError(
            f"The prefix {shown(text)!r} of allowed scm urls cannot be used: {error}.",
            code="scm_prefix_invalid",
            hint="Write it like https://src.example.org/modules/ or file:///srv/git/.",
        ) from error


def has_prefix(address: Address, prefixes: Iterable[str]) -> bool:
    """Return whether the repository is under one of the prefixes.

    Raises:
        ConfigurationError: A prefix can never match.
    """
    return any(address.begins_with(parse_prefix(prefix)) for prefix in prefixes)


def allowed(url: ScmUrl, prefixes: Iterable[str]) -> None:
    """Check an scm url against the allow-list.

    Raises:
        Forbidden: ``scmurl_not_allowed`` (403).
        ConfigurationError: A prefix can never match.
    """
    if not has_prefix(url.address, prefixes):
        raise _not_allowed(str(url))


def check_scmurl(text: str, prefixes: Iterable[str], *, allow_custom: bool = False) -> ScmUrl:
    """Parse an scm url and check it against the allow-list, unless custom urls are allowed.

    An incomplete url to a place that is not allowed is refused for its place: clients of the REST API expect
    403 for ``git://elsewhere.example.org``.

    Raises:
        InvalidInput: ``scmurl_invalid`` (400).
        Forbidden: ``scmurl_not_allowed`` (403).
    """
    prefixes = tuple(prefixes)
    try:
        url = ScmUrl.parse(text)
    except InvalidInput:
        if not allow_custom and _names_other_place(text, prefixes):
            raise _not_allowed(text) from None
        raise
    if not allow_custom:
        allowed(url, prefixes)
    return url


def _names_other_place(text: str, prefixes: tuple[str, ...]) -> bool:
    try:
        address = Address.parse(text.partition("#")[0].partition("?")[0])
    except ValueError:
        return False
    return not has_prefix(address, prefixes)


def _not_allowed(text: str) -> Forbidden:
    return Forbidden(
        f"The submitted scmurl {shown(text)} is not allowed.",
        code="scmurl_not_allowed",
        hint="Use a repository under one of the prefixes that the service's operator allows.",
    )
