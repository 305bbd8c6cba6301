"""Make messages of what comes from the bus, whatever it is.

fedora-messaging's own way has two faults for a program that must not stop. What it does not expect (another
encoding, a body that is a list, a tag that is a number) stops the consumer and goes back into the queue,
to stop the next one. And it checks the whole schema of Koji's messages, and each time the schema itself:
11 ms of CPU for any message, also about what is not known here; and a message of a newer hub would be
dropped for a field that does not matter. ``builds.consumers.events`` checks, by the same schemas, what does.
"""

from __future__ import annotations

import json

import pika
from fedora_messaging.exceptions import ValidationError
from fedora_messaging.message import Message
from fedora_messaging.twisted import consumer

from builds.observing.metrics import shared


def install() -> None:
    """Have the consumer of this process read messages by ``read``."""
    consumer.get_message = read


def read(topic: str, properties: pika.BasicProperties, body: bytes) -> Message:
    """A message without a schema of its own.

    :raises ValidationError: it is no JSON object; fedora-messaging drops it.
    """
    try:
        content = json.loads(body.decode(properties.content_encoding or "utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}, not an object")
    except (ValueError, LookupError, RecursionError) as error:
        figures = shared()
        figures.received.inc()
        figures.refused.inc()
        raise ValidationError(error) from error
    return Message(body=content, topic=topic, properties=properties)
