"""Where bus messages go. The setting ``MESSAGING`` names one."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from functools import cache
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from builds.models import OutboxMessage
from mbs.errors import ConfigurationError, MBSError, Problem, Unavailable


class BusUnavailable(Unavailable):
    """The bus did not take a message: it stays in the outbox."""

    code = "bus_unavailable"


class Unpublishable(MBSError):
    """No bus can carry this message: it is set aside, and those behind it go on."""

    code = "unpublishable"


class Publisher(Protocol):
    def ready(self) -> bool:
        """Return whether it is worth trying to publish now; False right after an outage was noticed."""
        return True

    def publish(self, messages: Sequence[OutboxMessage]) -> int:
        """Hand over messages in order; answers how many the bus confirmed, counted from the first.

        :raises BusUnavailable: when it confirmed none.
        :raises Unpublishable: the first of them can never be published; none was.
        """

    def examine(self) -> list[Problem]:
        """What the bus lacks before messages can be published there, for operators."""
        return []


class LogPublisher(Publisher):
    """Messages as lines of the log ``mbs.bus``: the standalone default."""

    log = logging.getLogger("mbs.bus")

    def publish(self, messages: Sequence[OutboxMessage]) -> int:
        for message in messages:
            self.log.info(
                "%s %s",
                message.topic,
                json.dumps({"id": str(message.message_id), "body": message.body}, sort_keys=True),
            )
        return len(messages)


class MemoryPublisher(Publisher):
    """Messages kept in this process, in order: for tests that look at them."""

    published: list[OutboxMessage] = []

    def publish(self, messages: Sequence[OutboxMessage]) -> int:
        self.published.extend(messages)
        return len(messages)


#: a publisher is imported by the process that publishes: some must not be inherited by a fork
_PUBLISHERS = {
    "fedora-messaging": "builds.messaging.fedora.FedoraPublisher",
    "log": "builds.messaging.publishers.LogPublisher",
    "memory": "builds.messaging.publishers.MemoryPublisher",
}


@cache
def publisher() -> Publisher:
    """The configured publisher, made once per process.

    :raises ConfigurationError: when there is none of that name, or what it needs is not installed.
    """
    name = settings.MBS.MESSAGING
    if name not in _PUBLISHERS:
        raise ConfigurationError(
            f"MESSAGING is {name!r}, which is no publisher.",
            hint=f"Use one of: {', '.join(sorted(_PUBLISHERS))}.",
        )
    try:
        made: Publisher = import_string(_PUBLISHERS[name])()
    except ImportError as error:
        raise ConfigurationError(
            f"MESSAGING is {name!r}, which needs more than is installed: {error}",
            hint="Install requirements/prod.txt.",
        ) from error
    return made
