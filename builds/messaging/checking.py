"""What the bus lacks before messages can be published there, for ``mbs-manager doctor``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pika
from django.conf import settings
from fedora_messaging.config import conf
from fedora_messaging.exceptions import ConfigurationException

# Private, but the only place that turns its section "tls" into what pika takes.
from fedora_messaging.twisted.service import _configure_tls_parameters
from pika.exceptions import AMQPError, ChannelClosedByBroker

from mbs.errors import Problem


def examine() -> list[Problem]:
    """Log in as publishers do, and look whether their exchange is there; nothing is made or sent."""
    try:
        parameters = _parameters(conf["amqp_url"])
    except (ConfigurationException, ValueError, OSError) as error:
        return [_problem("bus_configuration", f"The configuration of the bus cannot be used: {error}")]
    exchange, where = conf["publish_exchange"], f"{parameters.host}:{parameters.port}"
    try:
        with _quiet(), pika.BlockingConnection(parameters) as connection:
            # The exchange without a name is part of every broker, and cannot be asked for.
            if exchange:
                connection.channel().exchange_declare(exchange, passive=True)
    except ChannelClosedByBroker as refusal:
        return [
            _problem(
                "bus_exchange_missing" if refusal.reply_code == 404 else "bus_exchange_refused",
                f"Nothing can be published to the exchange {exchange!r} of the bus at {where}: "
                f"{refusal.reply_text}",
                "Set publish_exchange to one that exists, or have the broker's administrators make it",
            )
        ]
    except (AMQPError, OSError) as error:
        return [_problem("bus_unavailable", f"The bus at {where} does not let the service in: {error!r}")]
    return []


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what pika logs of a failure, which is long, before it raises it."""
    log = logging.getLogger("pika")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _parameters(url: str) -> pika.URLParameters:
    parameters = pika.URLParameters(url)
    if url.startswith("amqps"):
        _configure_tls_parameters(parameters)
    patience = settings.MBS.MESSAGING_TIMEOUT
    parameters.connection_attempts = 1
    parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = patience
    return parameters


def _problem(code: str, message: str, hint: str = "Mend amqp_url or tls") -> Problem:
    place = os.environ.get("FEDORA_MESSAGING_CONF", "/etc/fedora-messaging/config.toml")
    return Problem(code, message, hint=f"{hint}: {place}.")
