"""The callback of ``fedora-messaging consume``, which ``config.consumer`` creates."""

from __future__ import annotations

import logging
from time import sleep

from django.db import InterfaceError, OperationalError, close_old_connections
from fedora_messaging.exceptions import Drop, Nack
from fedora_messaging.message import Message

from builds.consumers import handlers, koji_events
from builds.messaging.fedora import reconnect_soon
from builds.observability import log_context
from builds.observability.metrics import service_metrics
from builds.observability.requests import request_number

log = logging.getLogger(__name__)

#: Longest pause (seconds) before a message is returned to the queue; the consumer cannot be stopped in it.
PAUSE_MAX = 10


class Callback:
    """Handle one message after the other, in a thread of Twisted.

    fedora-messaging itself counts processed, dropped and returned messages, at the port of its option
    ``monitoring``. A dropped message goes to the queue's dead letter exchange, if there is one.
    """

    def __init__(self) -> None:
        reconnect_soon()
        self._outages = 0

    def __call__(self, message: Message) -> None:
        """Handle a message.

        Raises:
            Drop: The message is malformed or cannot be handled. A sweep finds the change that it reported.
            Nack: The database is unavailable. The message is delivered again, after a growing pause.
        """
        metrics = service_metrics()
        metrics.received.inc()
        # Any other exception would stop the consumer, and again when the message is redelivered.
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
            log.warning("Message %s (%s) is malformed and dropped: %s", message.id, message.topic, error)
            metrics.refused.inc()
            raise Drop from error
        except (OperationalError, InterfaceError) as error:
            pause = min(2**self._outages, PAUSE_MAX)
            self._outages += 1
            log.warning(
                "The database is unavailable; message %s is returned to the queue in %s s: %s",
                message.id,
                pause,
                error,
            )
            sleep(pause)
            metrics.refused.inc()
            raise Nack from error
        except Exception as error:
            log.exception("Message %s (%s) could not be handled and is dropped", message.id, message.topic)
            metrics.refused.inc()
            raise Drop from error
        finally:
            close_old_connections()
