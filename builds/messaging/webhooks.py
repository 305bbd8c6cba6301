"""Send signed webhooks (Standard Webhooks 1.0.0) to addresses that untrusted users may have chosen.

A host is resolved once, and the connection goes to the address that was checked, so a later answer of the
name server has no effect. Redirects are not followed, no proxy is used, and response bodies are not read.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import secrets
import socket
import ssl
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import urlsplit

import httpx

from mbs.errors import InvalidInput, MBSError
from scm.hosts import is_public

#: Seconds for the connection and for each part of the response, and for everything together: a subscriber
#: that sends single bytes must not delay the others.
_TIMEOUT, _MAX_SECONDS = 10.0, 20.0
_PREFIX = "whsec_"
#: Also the kind of error for names that are unknown: users do not learn which names a private network has.
_NOT_PUBLIC = "no public host"


class NotDelivered(MBSError):
    """A subscriber did not accept a message; it is sent again.

    The message is for operators, since it may name hosts and addresses of the service's network.

    Args:
        message: The error.
        kind: The kind of error, for the user who subscribed.
        code: Stable code.
    """

    code = "not_delivered"

    def __init__(self, message: str, kind: str, *, code: str = "") -> None:
        super().__init__(message, code=code)
        self.kind = kind


def new_secret() -> str:
    """Return a new secret for the webhooks of a subscription."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header ``webhook-signature``."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode()


def check_address(address: str, *, private: bool) -> httpx.URL:
    """Return the checked address of a webhook.

    Args:
        address: The address that a user entered.
        private: Whether the address may use plain http, or belong to this machine or a private network.

    Raises:
        InvalidInput: ``invalid_webhook``.
    """
    try:
        parts, url = urlsplit(address), httpx.URL(address)
        # Both raise errors of their own.
        port, host = parts.port, url.host
    except (ValueError, httpx.InvalidURL):
        raise _invalid(address) from None
    fine = parts.scheme == "https" or (private and parts.scheme == "http")
    if not fine or not host or not parts.hostname or parts.username or parts.password or port == 0:
        raise _invalid(address)
    return url


def post(address: str, secret: str, message_id: str, timestamp: int, body: bytes, *, private: bool) -> None:
    """Send a webhook.

    Args:
        address: The subscriber's address.
        secret: The secret that signs the webhook.
        message_id: Id of the message, the same for each try.
        timestamp: Seconds since 1970.
        body: The body, as JSON.
        private: See ``check_address``.

    Raises:
        NotDelivered: The subscriber did not accept the message.
        InvalidInput: See ``check_address``.
    """
    url = check_address(address, private=private)
    ip = _resolved(url, private=private)
    headers = {
        "Host": url.netloc.decode("ascii"),
        "Content-Type": "application/json",
        "User-Agent": "module-build-service",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, message_id, timestamp, body),
    }
    try:
        status = asyncio.run(_status(url, ip, headers, body))
    except TimeoutError:
        raise NotDelivered(f"{url.host} did not answer within {_MAX_SECONDS:g} seconds.", "timeout") from None
    except httpx.HTTPError as error:
        text = f"{url.host} cannot be reached: {type(error).__name__}: {error}"
        raise NotDelivered(text, _kind(error)) from error
    if not 200 <= status < 300:
        raise NotDelivered(f"{url.host} answered {status}.", f"HTTP {status}")


async def _status(url: httpx.URL, ip: str, headers: Mapping[str, str], body: bytes) -> int:
    """Send a webhook to an address of its host, and return the status of the answer.

    Raises:
        TimeoutError: it took longer than ``_MAX_SECONDS``.
    """
    async with (
        asyncio.timeout(_MAX_SECONDS),
        httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False, follow_redirects=False) as client,
        client.stream(
            "POST",
            url.copy_with(host=ip),
            content=body,
            headers=headers,
            # The certificate must be that of the name, not of the address.
            extensions={"sni_hostname": url.host},
        ) as answer,
    ):
        return answer.status_code


def _resolved(url: httpx.URL, *, private: bool) -> str:
    """Return an address of a host whose addresses are all public.

    Raises:
        NotDelivered: The host has no address, or one that is not public.
    """
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        infos = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"{url.host} cannot be resolved: {error}", _NOT_PUBLIC) from error
    found = list(dict.fromkeys(str(info[4][0]) for info in infos))
    if not found or not (private or all(map(is_public, found))):
        text = f"{url.host} does not lie on a public host."
        raise NotDelivered(text, _NOT_PUBLIC, code="address_not_public")
    return found[0]


def _kind(error: httpx.HTTPError) -> str:
    """Return the kind of an error for the user who subscribed."""
    if isinstance(error, httpx.TimeoutException):
        return "timeout"
    cause: BaseException | None = error
    while cause:
        cause = cause.__cause__ or cause.__context__
        if isinstance(cause, ssl.SSLError):
            return "TLS error"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
    return "no connection" if isinstance(error, httpx.ConnectError) else "no valid answer"


def _invalid(address: str) -> InvalidInput:
    return InvalidInput(
        f"{address[:200]!r} is no address of a webhook.",
        code="invalid_webhook",
        hint="Write https://host/path, without a user or password.",
    )
