"""Download files from the repositories of another service, which is not trusted."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx

from mbs.client import answers
from mbs.client.rest import is_loopback
from mbs.errors import MBSError, Unavailable
from mbs.text import printable

#: Digests that repositories may use. Older ones can be forged.
DIGESTS = frozenset({"sha256", "sha384", "sha512"})
#: Redirects that are followed for one file.
MAX_REDIRECTS = 5
#: Time for one file: seconds, and the slowest bytes per second.
_SECONDS, _SPEED = 60.0, 20 << 10
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


class BadDownload(MBSError):
    """Another service offers something that is not used: a wrong digest, a forbidden address, too much."""

    code = "bad_download"


class NotThere(MBSError):
    """There is no such file."""

    code = "not_there"


@dataclass(frozen=True)
class Digest:
    """The expected digest of a file.

    Attributes:
        algorithm: One of ``DIGESTS``.
        value: Hexadecimal digits.
    """

    algorithm: str
    value: str

    @property
    def usable(self) -> bool:
        """Whether the algorithm is accepted and the value is one of its digests."""
        known = self.algorithm in DIGESTS
        return known and len(self.value) == 2 * hashlib.new(self.algorithm).digest_size

    def fits(self, path: Path) -> bool:
        """Return whether a file has this digest."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest() == self.value.lower()


class Downloads:
    """Downloads files that a server names.

    Only http and https are used, https alone if the server is reached by https, and addresses of this machine
    only if the server is on it. Redirects lead to the same host only. No credentials are sent.

    Args:
        server: URL of the server.
        transport: Replaces the network in tests.
    """

    def __init__(self, server: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._server = server
        self._http = httpx.Client(
            # Compressed transfer could exceed every limit after unpacking.
            headers={"Accept-Encoding": "identity", "Accept": "*/*"},
            timeout=_TIMEOUT,
            transport=transport,
            trust_env=not is_loopback(server),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def save(
        self,
        url: str,
        path: Path,
        *,
        limit: int,
        digest: Digest | None = None,
        arrived: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Download a file completely, or not at all.

        Args:
            path: The file to write.
            limit: Max bytes.
            digest: The digest that it must have.
            arrived: Called with the number of bytes of each part.

        Raises:
            NotThere: The server does not have it.
            BadDownload: It is too large or too slow, its digest differs, or its address is not allowed.
            Unavailable: The server does not answer.
        """
        handle, name = tempfile.mkstemp(prefix=".download-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                for part in self._parts(url, limit):
                    file.write(part)
                    arrived(len(part))
            if digest and not digest.fits(Path(name)):
                raise BadDownload(
                    f"{_shown(url)} is not the file that its repository lists: the {digest.algorithm} "
                    "digest differs.",
                    hint="Try again. If it happens again, ask the owners of the server.",
                )
            os.chmod(name, 0o644)  # programs that read it run as another user
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise

    def _parts(self, url: str, limit: int) -> Iterator[bytes]:
        end, size = time.monotonic() + _SECONDS + limit / _SPEED, 0
        try:
            with self._answer(url) as answer:
                for part in answer.iter_raw():
                    size += len(part)
                    if size > limit:
                        raise BadDownload(f"{_shown(url)} has more than {limit} bytes.")
                    if time.monotonic() > end:
                        raise BadDownload(f"{_shown(url)} arrives too slowly.", hint="Try again.")
                    yield part
        except httpx.TransportError as error:
            raise Unavailable(
                f"{_shown(url)} cannot be downloaded: {printable(str(error))}.",
                hint="Run the same command again; files that are complete are kept.",
            ) from error

    @contextmanager
    def _answer(self, url: str) -> Iterator[httpx.Response]:
        first = place = self._checked(url)
        for _ in range(MAX_REDIRECTS + 1):
            answer = answers.send(self._http, self._http.build_request("GET", place), _SECONDS)
            try:
                if not answer.is_redirect:
                    if answer.status_code in (404, 410):
                        raise NotThere(f"{_shown(url)} does not exist.")
                    if not answer.is_success:
                        raise Unavailable(
                            f"{_shown(url)} cannot be downloaded: the server answers {answer.status_code}.",
                            hint="Try again later.",
                        )
                    yield answer
                    return
                place = self._checked(_joined(place, answer.headers.get("Location", "")))
            finally:
                answer.close()
            if place.host != first.host:
                raise BadDownload(
                    f"{_shown(url)} redirects to {_shown(str(place))} on another host, which is not followed."
                )
        raise BadDownload(f"{_shown(url)} redirects more than {MAX_REDIRECTS} times.")

    def _checked(self, text: str) -> httpx.URL:
        """Return a URL that may be requested."""
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL:
            url = httpx.URL()
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise BadDownload(f"{_shown(text)} is not an http or https address.")
        if url.scheme == "http" and self._server.startswith("https:"):
            raise BadDownload(f"{_shown(text)} is not used: the server {self._server} is reached by https.")
        if not is_loopback(self._server) and _is_this_machine(url.host):
            raise BadDownload(
                f"{_shown(text)} is an address of this machine, but {self._server} is not on it."
            )
        return url


def _joined(place: httpx.URL, location: str) -> str:
    try:
        return urljoin(str(place), location) if location else ""
    except ValueError:
        return location


def _is_this_machine(host: str) -> bool:
    """Return whether a host is an address of this machine only, however it is written."""
    try:
        found = {str(each[4][0]).partition("%")[0] for each in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):  # a proxy may know it
        return False
    addresses = [ipaddress.ip_address(each) for each in found]
    return any(each.is_loopback or each.is_unspecified or each.is_link_local for each in addresses)


def _shown(url: str) -> str:
    return printable(url)[:200]
