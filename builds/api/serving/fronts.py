"""Restore the URL and the address of clients behind a trusted proxy.

A proxy names them in the headers ``X-Forwarded-For``, ``-Host``, ``-Proto`` and ``-Prefix``, or ``X-Scheme``
and ``X-Script-Name``, which proxies in front of MBS 3.9.2 send. These headers are ignored from other peers.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from builds.api.serving.types import Application, Receive, Scope, Send

#: Name, in ``TRUSTED_FRONTS``, of proxies that connect to a Unix socket.
UNIX = "unix:"
#: A path that may begin a link: no empty segment ("//host" is another site), no "." and no "..".
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]{1,100}){1,10}")
_SCHEMES = ("http", "https")


class Fronts:
    """Set scheme, host, path prefix and client of requests as a trusted proxy names them.

    In the scope, ``root_path`` is the prefix and ``path`` the path below it, whether or not the proxy removes
    the prefix.

    Args:
        application: The application that serves the requests.
        trusted: Addresses and networks of proxies; ``UNIX`` for those that connect to a Unix socket.
        base_url: URL of the service. Its path, and https as its scheme, are the defaults of requests without
            these headers.
    """

    def __init__(self, application: Application, trusted: Sequence[str], base_url: str) -> None:
        self.application = application
        middleware = ProxyHeadersMiddleware(
            application,  # type: ignore[arg-type]  # only its list of trusted hosts is used
            list(trusted),
        )
        self._trusted = middleware.trusted_hosts
        parts = urlsplit(base_url)
        self._tls = parts.scheme == "https"
        self._prefix = parts.path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request: the ASGI interface."""
        if scope["type"] == "http":
            scope = self._as_asked(scope)
        await self.application(scope, receive, send)

    def _as_asked(self, scope: Scope) -> Scope:
        headers = _last_values(scope["headers"]) if _peer(scope) in self._trusted else {}
        scheme = headers.get(b"x-forwarded-proto", headers.get(b"x-scheme", "")).lower()
        prefix = headers.get(b"x-forwarded-prefix", headers.get(b"x-script-name", "")).rstrip("/")
        if scheme not in _SCHEMES:
            scheme = "https" if self._tls else scope.get("scheme", "http")
        if not _PREFIX.fullmatch(prefix):
            prefix = self._prefix
        changed = {**scope, "scheme": scheme, "root_path": prefix, "path": _below(prefix, scope["path"])}
        if host := headers.get(b"x-forwarded-host", ""):
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            changed["headers"] = [*others, (b"host", host.encode("latin-1"))]
        if chain := headers.get(b"x-forwarded-for", ""):
            client = self._trusted.get_trusted_client_address(chain)
            changed["client"] = client if _is_address(client[0]) else scope.get("client")
        return changed


def _peer(scope: Scope) -> str | None:
    """Return the address of the other end of the connection, or ``UNIX``."""
    if client := scope.get("client"):
        return str(client[0])
    server = scope.get("server")
    return UNIX if server and server[1] is None else None


def _last_values(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """Return the values of headers that begin with ``X-``.

    Apache appends its value to one that the client sent, so the last value of a list is the proxy's. The
    whole list of ``X-Forwarded-For`` is kept, since several of its addresses may be proxies.
    """
    found: dict[bytes, str] = {}
    for name, value in headers:
        if not name.startswith(b"x-"):
            continue
        text = value.decode("latin-1").strip()
        if name == b"x-forwarded-for":
            found[name] = f"{found[name]}, {text}" if name in found else text
        else:
            found[name] = text.rpartition(",")[2].strip()
    return found


def _below(prefix: str, path: str) -> str:
    """Return a path without the prefix, if it begins with it."""
    if prefix and f"{path}/".startswith(f"{prefix}/"):
        return path[len(prefix) :] or "/"
    return path


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
