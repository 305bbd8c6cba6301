"""Decode bus messages in place of fedora-messaging, whose decoding has two faults.

An unexpected encoding, a body that is a list, or a tag that is a number stops its consumer; the message
returns to the queue and stops the next consumer. And it validates each Koji message against its whole schema,
and the schema too: this takes 11 ms of CPU per message, and drops messages of a newer hub for fields that are
not used here. ``builds.consumers.koji_events`` validates the fields that are used.
"""

from __future__ import annotations

import codecs
import json

import pika
from fedora_messaging.exceptions import ValidationError
from fedora_messaging.message import Message
from fedora_messaging.twisted import consumer

from builds.observability.metrics import service_metrics


def install() -> None:
    """Make fedora-messaging's consumer decode messages with ``decode``."""
    consumer.get_message = decode  # type: ignore[attr-defined]  # no public name, but the consumer calls it


def decode(routing_key: str, properties: pika.BasicProperties, body: bytes) -> Message:
    """Return a message without a schema.

    Raises:
        ValidationError: The body is not a JSON object in UTF-8; fedora-messaging drops the message.
    """
    try:
        # Other codecs of Python may take hours for a few megabytes (punycode).
        if codecs.lookup(properties.content_encoding or "utf-8").name != "utf-8":
            raise ValueError(f"encoded as {properties.content_encoding!r}, not as UTF-8")
        content = json.loads(body.decode())
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}, not an object")
    except (ValueError, LookupError, RecursionError) as error:
        metrics = service_metrics()
        metrics.received.inc()
        metrics.refused.inc()
        raise ValidationError(error) from error
    return Message(body=content, topic=routing_key, properties=properties)
