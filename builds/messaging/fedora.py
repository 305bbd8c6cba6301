"""Messages to the AMQP bus, by fedora-messaging.

Where the bus is, how to log in there, its exchange and the ``topic_prefix`` stand in fedora-messaging's own
file (``FEDORA_MESSAGING_CONF``; ``deploy/fedora-messaging.toml`` is a sample).

Importing this makes Twisted's reactor, and the first message starts it in a thread. Neither survives a
fork: that is why the publisher is looked up by name, in the process that publishes, when it does so.
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

#: topic -> class of its messages, and the list of the REST API that holds what they are about
_KINDS: dict[str, tuple[type[Message], str]] = {
    ModuleStateChangeV1.topic: (ModuleStateChangeV1, "module-builds"),
    ComponentStateChangeV1.topic: (ComponentStateChangeV1, "component-builds"),
}
#: longest pause (seconds) between two tries to connect; Twisted's own grows to an hour
RECONNECT_MAX = 5
#: bytes of a body; RabbitMQ 4's default ``max_message_size``
_MAX_BODY = 16 * 1024 * 1024
#: longest pause (seconds) of a process that found the bus connected but silent several times in a row
_PAUSE_MAX = 300.0


def reconnect_soon() -> None:
    """Have fedora-messaging try again every ``RECONNECT_MAX`` seconds while the bus is away."""
    FedoraMessagingFactoryV2.maxDelay = RECONNECT_MAX


class FedoraPublisher:
    """Hands over one message after the other, each confirmed by the broker before the next one is sent.

    Only so is the order on the bus the order of the rows when the broker refuses one or goes away. Steps of
    builds publish what they record, so an outage must not cost each of them ``MESSAGING_TIMEOUT``: while
    there is no connection nothing is tried, since Twisted makes a new one by itself. A bus that is connected
    and does not answer is left alone for ``OUTBOX_INTERVAL``, and twice as long after each further failure.
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
            # Not the end of whoever starts: messages wait until the file is mended.
            log.error("%s %s", error.message, error.hint)

    def ready(self) -> bool:
        """See ``builds.messaging.publishers.Publisher``."""
        return time.monotonic() >= self._away_until and not self._disconnected()

    def publish(self, messages: Sequence[OutboxMessage]) -> int:
        """See ``builds.messaging.publishers.Publisher``. Leaves off when half of ``OUTBOX_LEASE`` is over."""
        if time.monotonic() < self._away_until:
            raise BusUnavailable("The bus did not take a message a moment ago.")
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
                log.warning("The bus did not take %s: %r", message, error, exc_info=not expected)
                if confirmed:
                    return confirmed
                raise BusUnavailable(f"{type(error).__name__}: {error}") from error
        return len(messages)

    def examine(self) -> list[Problem]:
        """See ``builds.messaging.publishers.Publisher``."""
        return fedora_config.examine()

    def _disconnected(self) -> bool:
        """Return whether the connection is lost, or never came. The first one is waited for, once."""
        return (self._has_published or bool(self._failures)) and not _connected()

    def _pause(self) -> None:
        """Leave the bus alone for a while."""
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
            raise Unpublishable(f"Nothing is known of such a message: {error!r}") from error
        try:
            _publish(row, kind, url)
        except (ValidationError, Unpublishable):
            # A fact must not be kept back because the schema, or a header made of it, is wrong about it.
            log.exception("%s does not match its schema, and is sent without one", row)
            try:
                _publish(row, Message, url)
            except ValidationError as error:
                raise Unpublishable(f"{type(error).__name__}: {error.message}") from error


def _publish(row: OutboxMessage, kind: type[Message], url: str) -> None:
    """Publish a message and wait for the confirmation.

    :raises Unpublishable: it cannot be encoded for AMQP. pika notices that too, but only after it has counted
        the message, and then takes each later confirmation for that of another message.
    """
    try:
        message = kind(topic=row.topic, body=row.body, headers={URL_HEADER: url})
        message.id = str(row.message_id)
        message._properties.encode()
    except Exception as error:
        raise Unpublishable(f"{type(error).__name__}: {error}") from error
    try:
        api.publish(message, timeout=settings.MBS.MESSAGING_TIMEOUT)
    except PublishTimeout as error:
        # The broker closes the channel for it, and the library publishes it again until the time is over.
        size = len(message._encoded_body)
        if size > _MAX_BODY:
            raise Unpublishable(f"Its body has {size} bytes; brokers take {_MAX_BODY}.") from error
        raise


def _connected() -> bool:
    """Return whether fedora-messaging has a connection now, or has not been asked for one yet."""
    service = api._twisted_service
    if service is None:
        return True
    client = service.factory._client
    return client is not None and not client.is_closed
