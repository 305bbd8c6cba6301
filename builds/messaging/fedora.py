"""Publish messages on the AMQP bus with fedora-messaging.

fedora-messaging's own file (``FEDORA_MESSAGING_CONF``; ``deploy/fedora-messaging.toml`` is a sample) holds
the address of the bus, the login, the exchange and the ``topic_prefix``.

Importing this module creates Twisted's reactor, and the first message starts it in a thread. Neither survives
a fork, so this module is imported only by the process that publishes (``builds.messaging.publishers``).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence

from django.conf import settings
from fedora_messaging import api
from fedora_messaging.exceptions import BaseException as BusError
from fedora_messaging.exceptions import PublishTimeout
from fedora_messaging.message import Message
from fedora_messaging.twisted.factory import FedoraMessagingFactoryV2
from jsonschema import ValidationError
from mbs_messages import ComponentStateChangeV1, ModuleStateChangeV1
from mbs_messages.base import URL_HEADER

from builds.messaging import fedora_config
from builds.messaging.publishers import BusUnavailable, Unpublishable
from builds.models import OutboxMessage
from mbs.errors import ConfigurationError, Problem

log = logging.getLogger(__name__)

#: Topic -> class of its messages, and the REST collection of the builds that they are about.
_KINDS: dict[str, tuple[type[Message], str]] = {
    ModuleStateChangeV1.topic: (ModuleStateChangeV1, "module-builds"),
    ComponentStateChangeV1.topic: (ComponentStateChangeV1, "component-builds"),
}
#: Longest pause (seconds) between two attempts to connect; Twisted's default grows to an hour.
RECONNECT_MAX = 5
#: Bytes of a body: RabbitMQ 4's default ``max_message_size``.
_MAX_BODY = 16 * 1024 * 1024
#: Longest pause (seconds) after the bus was connected but did not confirm, several times in a row.
_PAUSE_MAX = 300.0


def reconnect_soon() -> None:
    """Make fedora-messaging reconnect every ``RECONNECT_MAX`` seconds while the bus is unavailable."""
    FedoraMessagingFactoryV2.maxDelay = RECONNECT_MAX


class FedoraPublisher:
    """Publish messages one after the other, waiting for the broker's confirmation of each.

    Waiting keeps the order of the rows on the bus even if the broker refuses a message or disconnects.

    Steps of builds publish what they record, so an outage must not delay each of them by
    ``MESSAGING_TIMEOUT``. Nothing is sent while there is no connection; Twisted reconnects by itself. If the
    bus is connected but does not confirm, the publisher pauses for ``OUTBOX_INTERVAL``, and for twice as long
    after each further failure.
    """

    def __init__(self) -> None:
        reconnect_soon()
        self._pid = os.getpid()
        self._away_until = 0.0
        self._failures = 0
        self._has_published = False
        try:
            fedora_config.configuration()
        except ConfigurationError as error:
            # The process starts anyway: messages stay in the outbox until the file is corrected.
            log.error("%s %s", error.message, error.hint)

    def ready(self) -> bool:
        """Return whether there is a connection and no pause; see ``publishers.Publisher``."""
        return time.monotonic() >= self._away_until and not self._disconnected()

    def publish(self, messages: Sequence[OutboxMessage]) -> int:
        """Publish messages until half of ``OUTBOX_LEASE`` is over; see ``publishers.Publisher``."""
        if time.monotonic() < self._away_until:
            raise BusUnavailable("The bus did not confirm a message a moment ago.")
        if self._disconnected():
            raise BusUnavailable("There is no connection to the bus.")
        end = time.monotonic() + settings.MBS.OUTBOX_LEASE / 2
        for confirmed, message in enumerate(messages):
            if confirmed and time.monotonic() > end:
                return confirmed
            try:
                self._send(message)
                self._failures, self._has_published = 0, True
            except Unpublishable:
                if confirmed:
                    return confirmed
                raise
            except Exception as error:
                self._pause()
                expected = isinstance(error, BusUnavailable | BusError | ConfigurationError)
                log.warning("The bus did not confirm %s: %r", message, error, exc_info=not expected)
                if confirmed:
                    return confirmed
                raise BusUnavailable(f"{type(error).__name__}: {error}") from error
        return len(messages)

    def examine(self) -> list[Problem]:
        """Check the bus; see ``publishers.Publisher``."""
        return fedora_config.examine()

    def _disconnected(self) -> bool:
        """Return whether there is no connection, after this process has tried to publish once."""
        return (self._has_published or bool(self._failures)) and not _connected()

    def _pause(self) -> None:
        """Publish nothing for a while, which doubles with each failure in a row."""
        pause = settings.MBS.OUTBOX_INTERVAL * 2 ** min(self._failures, 10)
        self._away_until = time.monotonic() + min(pause, max(_PAUSE_MAX, settings.MBS.OUTBOX_INTERVAL))
        self._failures += 1

    def _send(self, row: OutboxMessage) -> None:
        if self._pid != os.getpid():
            raise BusUnavailable("Messages were published before this process was forked.")
        fedora_config.configuration()
        try:
            kind, resource = _KINDS[row.topic]
            url = f"{settings.MBS.BASE_URL}/module-build-service/2/{resource}/{row.body['id']}"
        except (LookupError, TypeError) as error:
            raise Unpublishable(f"The topic or the body of the message is unknown: {error!r}") from error
        try:
            _publish(row, kind, url)
        except (ValidationError, Unpublishable):
            # A wrong schema, or a wrong header made from it, must not hold back the message.
            log.exception("%s does not match its schema and is published without one", row)
            try:
                _publish(row, Message, url)
            except ValidationError as error:
                raise Unpublishable(f"{type(error).__name__}: {error.message}") from error


def _publish(row: OutboxMessage, kind: type[Message], url: str) -> None:
    """Publish a message and wait for the confirmation.

    Raises:
        Unpublishable: The message cannot be encoded for AMQP. It is encoded here first because pika counts a
            message before it encodes it, and then assigns all later confirmations to the wrong messages.
    """
    try:
        message = kind(topic=row.topic, body=row.body, headers={URL_HEADER: url})
        message.id = str(row.message_id)
        message._properties.encode()
    except Exception as error:
        raise Unpublishable(f"{type(error).__name__}: {error}") from error
    try:
        timeout = settings.MBS.MESSAGING_TIMEOUT
        api.publish(message, timeout=timeout)  # type: ignore[arg-type]  # fractions are possible
    except PublishTimeout as error:
        # The broker closes the channel for an oversized body, and the library repeats it until the timeout.
        size = len(message._encoded_body)
        if size > _MAX_BODY:
            raise Unpublishable(f"Its body has {size} bytes; brokers accept {_MAX_BODY}.") from error
        raise


def _connected() -> bool:
    """Return whether fedora-messaging has a connection, or has not started its service yet."""
    service = api._twisted_service
    if service is None:
        return True
    client = service.factory._client
    return client is not None and not client.is_closed
