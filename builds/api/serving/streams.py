"""Parts that all streams of server-sent events have in common (HTML standard, 9.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from builds.api.serving.types import Message, Receive, Send

PLAIN_JSON = "application/json"


def headers_of(scope: Message) -> dict[bytes, str]:
    """Return the headers of a request by name."""
    return {name: value.decode("latin-1") for name, value in scope.get("headers", ())}


def host_allowed(headers: dict[bytes, str]) -> bool:
    """Return whether the header ``Host`` is one of ``ALLOWED_HOSTS``."""
    host, _ = split_domain_port(headers.get(b"host", ""))
    return validate_host(host, settings.ALLOWED_HOSTS)


async def disconnected(receive: Receive) -> None:
    """Wait until the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


def start(status: int, number: str) -> dict[str, Any]:
    """Return the message that begins a stream. Pages of other sites may read the stream.

    Args:
        status: HTTP status.
        number: Id of the request.
    """
    headers = {
        "content-type": "text/event-stream; charset=utf-8",
        "x-accel-buffering": "no",  # nginx would keep events back
    }
    return _start(status, number, headers)


async def answer(send: Send, status: int, number: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Send a whole answer instead of a stream.

    Args:
        send: Sends the answer.
        status: HTTP status.
        number: Id of the request.
        body: The body.
        headers: Headers besides those of all streams.
    """
    await send(_start(status, number, {**headers, "content-length": str(len(body))}))
    await send(end(body))


def _start(status: int, number: str, headers: Mapping[str, str]) -> dict[str, Any]:
    shared = {"cache-control": "no-store", "access-control-allow-origin": "*", "x-request-id": number}
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [(name.encode(), value.encode()) for name, value in {**headers, **shared}.items()],
    }


def part(body: bytes) -> dict[str, Any]:
    """Return the message that carries a part of a stream."""
    return {"type": "http.response.body", "body": body, "more_body": True}


def end(body: bytes = b"") -> dict[str, Any]:
    """Return the message that ends a stream."""
    return {"type": "http.response.body", "body": body}
