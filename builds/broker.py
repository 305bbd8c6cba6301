"""Connections to the broker for requests that must not wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from celery import current_app
from kombu import Connection

#: Seconds that the broker has for each answer.
TIMEOUT = 0.8


@contextmanager
def quick_broker() -> Iterator[Connection]:
    """Connect to the broker for a request that must not wait: each answer has ``TIMEOUT`` seconds.

    Raises:
        OperationalError: The broker is unavailable. Likewise OSError.
    """
    limits = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
    with current_app.connection_for_write(transport_options=limits) as broker:
        broker.ensure_connection(
            max_retries=1,
            interval_start=0,
            timeout=TIMEOUT,  # type: ignore[arg-type]  # fractions are possible
        )
        yield broker
