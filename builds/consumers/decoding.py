"""Decode the messages of the bus, whatever they hold.

fedora-messaging's own decoding has two faults for a consumer that must not stop. An unexpected encoding, a
body that is a list or a tag that is a number stops the consumer, and the message goes back into the queue and
stops the next one. And it validates every Koji message against its whole schema, and the schema itself each
time: 11 ms of CPU per message, and a newer hub's message is dropped for a field that is not used here.
``builds.consumers.koji_events`` validates the fields that are used.
"""

from __future__ import annotations

import json

import pika
from fedora_messaging.exceptions import ValidationError
from fedora_messaging.message import Message
from fedora_messaging.twisted import consumer

from builds.observability.metrics import service_metrics


def install() -> None:
    """Have the consumer of this process read messages by ``decode``."""
    consumer.get_message = decode


def decode(topic: str, properties: pika.BasicProperties, body: bytes) -> Message:
    """A message without a schema of its own.

    :raises ValidationError: it is no JSON object; fedora-messaging drops it.
    """
    try:
        content = json.loads(body.decode(properties.content_encoding or "utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}, not an object")
    except (ValueError, LookupError, RecursionError) as error:
        metrics = service_metrics()
        metrics.received.inc()
        metrics.refused.inc()
        raise ValidationError(error) from error
    return Message(body=content, topic=topic, properties=properties)
