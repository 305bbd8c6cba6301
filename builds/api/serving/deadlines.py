"""Deadlines for answers: the outermost ASGI application.

A part of an answer that a client does not take in time closes its connection. A large answer whose client
reads slowly goes to disk, so that it does not stay in memory for as long as the client takes.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from builds.api.serving import files
from builds.api.serving.types import Application, Message, Receive, Scope, Send

log = logging.getLogger(__name__)


class Gone(Exception):
    """The client has closed the connection, or took too long."""


class Deadlines:
    """Runs an application, and tells the connection when a request begins and ends.

    Args:
        patience: Seconds that a client has to take each part of an answer.
    """

    def __init__(self, application: Application, patience: float) -> None:
        self.application = application
        self.patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = scope.get("state", {}).get("connection")
        if scope["type"] != "http" or connection is None:
            return await self.application(scope, receive, send)

        async def receive_part() -> Message:
            message = await receive()
            if not message.get("more_body"):
                connection.body_ended()
            return message

        answer = _Answer(connection, send, self.patience)
        connection.begin(scope["headers"])
        try:
            await self.application(scope, receive_part, answer.send)
        except Gone:
            log.debug("A client was gone, or too slow, before its answer was sent.")
        finally:
            connection.end()


class _Answer:
    """Sends an answer in parts that the client must take in time."""

    def __init__(self, connection: Any, send: Send, patience: float) -> None:
        self.connection = connection
        self._send = send
        self._patience = patience

    async def send(self, message: Message) -> None:
        """Send a message of ASGI, however large it is.

        Raises:
            Gone: Nobody takes it.
        """
        body = message.get("body", b"")
        if len(body) <= files.PART:
            await self._part(message)
            return
        # The caller may hold the message: its text must not stay in memory with it.
        message["body"] = b""
        more = message.get("more_body", False)
        sent = await self._while_taken(body, more)
        size = len(body) - sent
        if not size:
            return
        if not files.budget.take(size):
            self.connection.abort()
            raise Gone
        try:
            file = await files.on_disk(memoryview(body)[sent:])
            del body
            await files.send(file, self._part, more_body=more)
        finally:
            files.budget.give_back(size)

    async def _while_taken(self, body: bytes, more: bool) -> int:
        """Send parts as long as the client takes them at once; answers how many bytes were sent."""
        place = 0
        while place < len(body) and self.connection.writable:
            part = body[place : place + files.PART]
            place += len(part)
            await self._part(
                {"type": "http.response.body", "body": part, "more_body": more or place < len(body)}
            )
        return place

    async def _part(self, message: Message) -> None:
        if self.connection.lost:
            raise Gone
        try:
            async with asyncio.timeout(self._patience):
                await self._send(message)
        except TimeoutError:
            self.connection.abort()
            raise Gone from None
