"""The callback of ``fedora-messaging consume`` (``config.consumer`` makes it)."""

from __future__ import annotations

import logging
import time

from django.db import InterfaceError, OperationalError, close_old_connections
from fedora_messaging.exceptions import Drop, Nack
from fedora_messaging.message import Message

from builds.consumers import handlers, koji_events
from builds.messaging.fedora import reconnect_soon
from builds.observability import log_context
from builds.observability.metrics import service_metrics
from builds.observability.requests import request_number

log = logging.getLogger(__name__)

#: longest pause (seconds) before a message is given back: the consumer cannot be stopped meanwhile
PAUSE_MAX = 10


class Callback:
    """Takes one message after the other, in a thread of Twisted's.

    fedora-messaging counts what was processed, dropped and given back, and shows it where its option
    ``monitoring`` says. A message that is dropped goes to the queue's dead letter exchange, if it has one.
    """

    def __init__(self) -> None:
        reconnect_soon()
        self._outages = 0

    def __call__(self, message: Message) -> None:
        """
        :raises Drop: the message is malformed, or cannot be handled; sweeps find what it was about.
        :raises Nack: the database is away: the message comes again, after a growing pause.
        """
        metrics = service_metrics()
        metrics.received.inc()
        # Nothing else may come out of here: it would stop the consumer, and come again with the message.
        try:
            close_old_connections()
            log_context.restart(request_id=request_number(message.id or ""))
            event = koji_events.parse(message.topic, message.body)
            if event is not None:
                log.debug("%s: %s", message.id, event)
                handlers.handle(event)
            self._outages = 0
            metrics.handled.inc()
        except koji_events.MalformedMessage as error:
            log.warning("Message %s (%s) is dropped: %s", message.id, message.topic, error)
            metrics.refused.inc()
            raise Drop from error
        except (OperationalError, InterfaceError) as error:
            pause = min(2**self._outages, PAUSE_MAX)
            self._outages += 1
            log.warning(
                "The database is away, message %s is given back in %s s: %s", message.id, pause, error
            )
            time.sleep(pause)
            metrics.refused.inc()
            raise Nack from error
        except Exception as error:
            log.exception("Message %s (%s) is dropped", message.id, message.topic)
            metrics.refused.inc()
            raise Drop from error
        finally:
            close_old_connections()
