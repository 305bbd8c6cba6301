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
from fedora_messaging.message import Message
from fedora_messaging.twisted.factory import FedoraMessagingFactoryV2
from jsonschema import ValidationError
from mbs_messages import ComponentStateChangeV1, ModuleStateChangeV1
from mbs_messages.base import URL_HEADER

from builds.messaging import checking
from builds.messaging.publishers import BusUnavailable
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


def reconnect_soon() -> None:
    """Have fedora-messaging try again every ``RECONNECT_MAX`` seconds while the bus is away."""
    FedoraMessagingFactoryV2.maxDelay = RECONNECT_MAX


class FedoraPublisher:
    """Hands over one message after the other, each confirmed by the broker before the next one is sent.

    Only so is the order on the bus the order of the rows when the broker refuses one or goes away. After
    a failure the bus is left alone for ``OUTBOX_INTERVAL``, or every step of every build would wait for
    ``MESSAGING_TIMEOUT`` while the bus is away.
    """

    def __init__(self) -> None:
        reconnect_soon()
        self._pid = os.getpid()
        self._away_until = 0.0
        try:
            checking.configuration()
        except ConfigurationError as error:
            # Not the end of whoever starts: messages wait until the file is mended.
            log.error("%s %s", error.message, error.hint)

    def publish(self, messages: Sequence[OutboxMessage]) -> int:
        """See ``builds.messaging.publishers.Publisher``. Leaves off when half of ``OUTBOX_LEASE`` is over."""
        if time.monotonic() < self._away_until:
            raise BusUnavailable("The bus did not take a message a moment ago.")
        end = time.monotonic() + settings.MBS.OUTBOX_LEASE / 2
        for confirmed, message in enumerate(messages):
            if confirmed and time.monotonic() > end:
                return confirmed
            try:
                self._send(message)
            except Exception as error:
                self._away_until = time.monotonic() + settings.MBS.OUTBOX_INTERVAL
                told = isinstance(error, BusUnavailable | BusError | ConfigurationError)
                log.warning("The bus did not take %s: %r", message, error, exc_info=not told)
                if confirmed:
                    return confirmed
                raise BusUnavailable(f"{type(error).__name__}: {error}") from error
        return len(messages)

    def examine(self) -> list[Problem]:
        """See ``builds.messaging.publishers.Publisher``."""
        return checking.examine()

    def _send(self, row: OutboxMessage) -> None:
        if self._pid != os.getpid():
            raise BusUnavailable("Messages were published before this process was forked.")
        kind, resource = _KINDS[row.topic]
        checking.configuration()
        try:
            _publish(row, kind, resource)
        except ValidationError:
            # A fact must not be kept back, nor those behind it, because the schema is wrong about it.
            log.exception("%s does not match its schema, and is sent without one", row)
            _publish(row, Message, resource)


def _publish(row: OutboxMessage, kind: type[Message], resource: str) -> None:
    url = f"{settings.MBS.BASE_URL}/module-build-service/2/{resource}/{row.body['id']}"
    message = kind(topic=row.topic, body=row.body, headers={URL_HEADER: url})
    message.id = str(row.message_id)
    api.publish(message, timeout=settings.MBS.MESSAGING_TIMEOUT)
