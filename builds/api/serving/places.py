"""Limit the streams and the waiting requests of a process, in all and for each client.

Without a limit for each client, one client could take all places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from builds.api.serving.streams import PLAIN_JSON, answer
from builds.api.serving.types import Scope, Send
from builds.clients import client_at
from builds.encoding import encode

#: Seconds after which a refused client may try again.
RETRY_AFTER = 30


class Places:
    """Limit the streams of one kind, or the waiting requests, of a process: in total and for each client.

    Args:
        total: Max streams or requests.
        share: Max streams or requests of one client: an IPv4 address, or a /64 network of IPv6.

    Attributes:
        taken: Streams that are served, or requests that wait, now.
    """

    def __init__(self, total: int, share: int) -> None:
        self.total, self.share = total, share
        self.taken = 0
        self._clients = Counter[str]()

    @property
    def full(self) -> bool:
        """Return whether all places are taken."""
        return self.taken >= self.total

    def greedy(self, scope: Scope) -> bool:
        """Return whether a client has ``share`` places; a client without an address has no limit."""
        client = client_of(scope)
        return bool(client) and self._clients[client] >= self.share

    @contextmanager
    def take(self, scope: Scope) -> Iterator[None]:
        """Take a place for the client of a request until the context ends."""
        client = client_of(scope)
        self.taken += 1
        self._clients[client] += 1
        try:
            yield
        finally:
            self.taken -= 1
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]


def client_of(scope: Scope) -> str:
    """Return the address of a client, or the network of an IPv6 address; empty behind a Unix socket."""
    client = scope.get("client")
    return client_at(str(client[0])) if client else ""


async def refuse(send: Send, number: str) -> None:
    """Answer 429 to a client that has as many streams as one client may have.

    Args:
        send: Sends the answer.
        number: Id of the request.
    """
    body = {
        "status": 429,
        "error": "Too Many Requests",
        "code": "too_many_streams",
        "message": "This address has too many open streams.",
        "hint": f"Close some of them, and try again after {RETRY_AFTER} seconds.",
    }
    more = {"retry-after": str(RETRY_AFTER), "content-type": PLAIN_JSON}
    await answer(send, 429, number, encode(body), more)
