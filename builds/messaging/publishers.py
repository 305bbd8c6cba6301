"""Publishers of bus messages. The option ``MESSAGING`` names the one in use."""

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
    """The bus did not confirm a message: it stays in the outbox."""

    code = "bus_unavailable"


class Unpublishable(MBSError):
    """No bus can carry this message: it is set aside, and the following ones are published."""

    code = "unpublishable"


class Publisher(Protocol):
    """A way to publish messages."""

    def ready(self) -> bool:
        """Return whether publishing may succeed now; False shortly after an outage."""
        return True

    def publish(self, messages: Sequence[OutboxMessage]) -> int:
        """Publish messages in order.

        Returns:
            How many the bus confirmed, counted from the first.

        Raises:
            BusUnavailable: The bus confirmed none.
            Unpublishable: The first message can never be published; none was.
        """

    def examine(self) -> list[Problem]:
        """Return the problems that operators must correct before messages can be published."""
        return []


class LogPublisher(Publisher):
    """Write messages to the logger ``mbs.bus``: the standalone default."""

    log = logging.getLogger("mbs.bus")

    def publish(self, messages: Sequence[OutboxMessage]) -> int:
        """Log each message as a line."""
        for message in messages:
            self.log.info(
                "%s %s",
                message.topic,
                json.dumps({"id": str(message.message_id), "body": message.body}, sort_keys=True),
            )
        return len(messages)


class MemoryPublisher(Publisher):
    """Keep messages in the memory of this process, for tests."""

    published: list[OutboxMessage] = []

    def publish(self, messages: Sequence[OutboxMessage]) -> int:
        """Append the messages to ``published``."""
        self.published.extend(messages)
        return len(messages)


#: Import paths: a publisher is imported by the process that publishes, since some do not survive a fork.
_PUBLISHERS = {
    "fedora-messaging": "builds.messaging.fedora.FedoraPublisher",
    "log": "builds.messaging.publishers.LogPublisher",
    "memory": "builds.messaging.publishers.MemoryPublisher",
}


@cache
def publisher() -> Publisher:
    """Return the configured publisher, created once per process.

    Raises:
        ConfigurationError: No publisher has this name, or its packages are not installed.
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
            f"MESSAGING is {name!r}, which needs packages that are not installed: {error}",
            hint="Install requirements/prod.txt.",
        ) from error
    return made
