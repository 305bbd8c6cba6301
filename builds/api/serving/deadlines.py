"""Limit the time that a client has to receive an answer. This is the outermost ASGI application.

If a client does not receive a part of an answer in time, its connection is closed. For a client that reads
slowly, a large answer is moved from memory to disk.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from builds.api.serving import files
from builds.api.serving.types import Application, Message, Receive, Scope, Send

log = logging.getLogger(__name__)


class Gone(Exception):
    """The client has disconnected or was too slow."""


class Deadlines:
    """Run an application, and report the beginning and the end of each request to its connection.

    Args:
        timeout: Seconds in which a client must receive each part of an answer.
    """

    def __init__(self, application: Application, timeout: float) -> None:
        self.application = application
        self.timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application for a request."""
        connection = scope.get("state", {}).get("connection")
        if scope["type"] != "http" or connection is None:
            return await self.application(scope, receive, send)

        async def receive_part() -> Message:
            message = await receive()
            if not message.get("more_body"):
                connection.body_ended()
            return message

        answer = _Answer(connection, send, self.timeout)
        connection.begin(scope["headers"])
        try:
            await self.application(scope, receive_part, answer.send)
        except Gone:
            log.debug("A client disconnected or was too slow to receive its answer.")
        finally:
            connection.end()


class _Answer:
    """Sends an answer in parts, with a time limit for each."""

    def __init__(self, connection: Any, send: Send, timeout: float) -> None:
        self.connection = connection
        self._send = send
        self._timeout = timeout

    async def send(self, message: Message) -> None:
        """Send an ASGI message of any size.

        Raises:
            Gone: The client has disconnected or was too slow.
        """
        body = message.get("body", b"")
        if len(body) <= files.PART:
            await self._part(message)
            return
        # The caller may keep the message, which must not keep the body in memory.
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
        """Send parts as long as the client receives them immediately, and return the number of bytes sent."""
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
            async with asyncio.timeout(self._timeout):
                await self._send(message)
        except TimeoutError:
            self.connection.abort()
            raise Gone from None
