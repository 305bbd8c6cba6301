"""What the bus lacks before messages can be published there, for ``mbs-manager doctor``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pika
from django.conf import settings
from fedora_messaging.config import LazyConfig, conf
from fedora_messaging.exceptions import ConfigurationException

# Private, but the only place that turns its section "tls" into what pika takes.
from fedora_messaging.twisted.service import _configure_tls_parameters
from pika.exceptions import AMQPError, ChannelClosedByBroker

from mbs.errors import ConfigurationError, Problem

#: what the library, which checks little, and pika make of values that they cannot use
_FAULTS = (ConfigurationException, ValueError, TypeError, AttributeError, LookupError, OSError)


def configuration() -> LazyConfig:
    """fedora-messaging's configuration for publishers, from its file.

    A file that cannot be used is read again the next time: the library would go on with what it had
    understood of it.

    :raises ConfigurationError: it cannot be used.
    """
    try:
        # That port is the consumer's, which has opened it before it publishes anything.
        conf.update({"monitoring": {}})
    except _FAULTS as error:
        conf.loaded = False
        raise _unusable(error) from error
    return conf


def examine() -> list[Problem]:
    """Log in as publishers do, and look whether their exchange is there; nothing is made or sent."""
    try:
        parameters = _parameters(configuration()["amqp_url"])
    except ConfigurationError as error:
        return [Problem(error.code, error.message, hint=error.hint)]
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
    """How to log in.

    :raises ConfigurationError: with these values nobody can.
    """
    try:
        parameters = pika.URLParameters(url)
        if url.startswith("amqps"):
            _configure_tls_parameters(parameters)
    except _FAULTS as error:
        raise _unusable(error) from error
    patience = settings.MBS.MESSAGING_TIMEOUT
    parameters.connection_attempts = 1
    parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = patience
    return parameters


def _unusable(error: Exception) -> ConfigurationError:
    name = "" if isinstance(error, ConfigurationException) else f"{type(error).__name__}: "
    reason = name + str(getattr(error, "message", error))
    problem = _problem(
        "bus_configuration", f"The configuration of the bus cannot be used: {reason}", "Correct the file"
    )
    return ConfigurationError(problem.message, code=problem.code, hint=problem.hint)


def _problem(code: str, message: str, hint: str = "Correct amqp_url or tls") -> Problem:
    place = os.environ.get("FEDORA_MESSAGING_CONF", "/etc/fedora-messaging/config.toml")
    return Problem(code, message, hint=f"{hint}: {place}.")
