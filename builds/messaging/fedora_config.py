"""Read fedora-messaging's configuration, and check for ``mbs-manager doctor`` that the bus can be used."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pika
from django.conf import settings
from fedora_messaging.config import LazyConfig, conf
from fedora_messaging.exceptions import ConfigurationException

# Private, but the only code that converts the section "tls" to pika's options.
from fedora_messaging.twisted.service import _configure_tls_parameters
from pika.exceptions import AMQPError, ChannelClosedByBroker

from mbs.errors import ConfigurationError, Problem

#: Exceptions that the library, which checks little, and pika raise for unusable values.
_FAULTS = (ConfigurationException, ValueError, TypeError, AttributeError, LookupError, OSError)


def configuration() -> LazyConfig:
    """Return fedora-messaging's configuration for publishers.

    An unusable file is read again at the next call. Without that, the library would continue with the values
    that it had read before the error.

    Raises:
        ConfigurationError: The configuration cannot be used.
    """
    try:
        # The consumer, which may publish too, has opened the monitoring port already.
        conf.update({"monitoring": {}})
    except _FAULTS as error:
        conf.loaded = False
        raise _unusable(error) from error
    return conf


def examine() -> list[Problem]:
    """Log in to the bus and check that the exchange exists. Nothing is created or published.

    Returns:
        The problems that an operator must correct; an empty list if messages can be published.
    """
    try:
        parameters = _parameters(configuration()["amqp_url"])
    except ConfigurationError as error:
        return [Problem(error.code, error.message, hint=error.hint)]
    exchange, where = conf["publish_exchange"], f"{parameters.host}:{parameters.port}"
    try:
        with _quiet(), pika.BlockingConnection(parameters) as connection:
            # The default exchange, which has no name, always exists and cannot be declared.
            if exchange:
                connection.channel().exchange_declare(exchange, passive=True)
    except ChannelClosedByBroker as refusal:
        return [
            _problem(
                "bus_exchange_missing" if refusal.reply_code == 404 else "bus_exchange_refused",
                f"Nothing can be published to the exchange {exchange!r} of the bus at {where}: "
                f"{refusal.reply_text}",
                "Set publish_exchange to an existing exchange, or have the broker's administrators create it",
            )
        ]
    except (AMQPError, OSError) as error:
        return [_problem("bus_unavailable", f"The service cannot connect to the bus at {where}: {error!r}")]
    return []


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress pika's long log lines about an error that it raises afterwards."""
    log = logging.getLogger("pika")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _parameters(url: str) -> pika.URLParameters:
    """Return pika's parameters for a connection.

    Raises:
        ConfigurationError: The values cannot be used.
    """
    try:
        parameters = pika.URLParameters(url)
        if url.startswith("amqps"):
            _configure_tls_parameters(parameters)
    except _FAULTS as error:
        raise _unusable(error) from error
    timeout = settings.MBS.MESSAGING_TIMEOUT
    parameters.connection_attempts = 1
    parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = timeout
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
