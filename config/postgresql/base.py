"""Django's PostgreSQL backend with bounded waits."""

from __future__ import annotations

import select
import time
from functools import partial
from types import TracebackType
from typing import Any

import psycopg2
from django.db import OperationalError
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property
from psycopg2 import errors, extensions

#: Limits in the server: for statements, and for clients that hang in a transaction and hold locks.
_SESSION = """
    SELECT set_config('statement_timeout', %(statement)s, false),
        set_config('idle_in_transaction_session_timeout', %(idle)s, false),
        set_config('tcp_keepalives_idle', '10', false),
        set_config('tcp_keepalives_interval', '5', false),
        set_config('tcp_keepalives_count', '3', false)
"""
#: Seconds of disuse after which a connection is checked with a statement.
_IDLE = 10.0


class Connection(extensions.connection):
    """A connection that waits at most ``answer_timeout`` seconds for an answer; None: no limit."""

    def __init__(self, *args: Any, answer_timeout: float | None = None, **kwargs: Any) -> None:
        # Set before connecting, since the limit applies to that as well.
        self.answer_timeout = answer_timeout
        super().__init__(*args, **kwargs)


def wait(connection: Any) -> None:
    """Wait for an answer of the server. This is psycopg2's wait callback, used instead of blocking in libpq.

    libpq would wait without limit for an unreachable server. If the callback raises, psycopg2 closes the
    connection.

    Raises:
        psycopg2.OperationalError: The time limit has passed.
    """
    answer_timeout = getattr(connection, "answer_timeout", None)
    ends = None if answer_timeout is None else time.monotonic() + answer_timeout
    while (state := connection.poll()) != extensions.POLL_OK:
        poll = select.poll()
        poll.register(connection.fileno(), _EVENTS[state])
        left = None if ends is None else max(0.0, ends - time.monotonic()) * 1000
        if not poll.poll(left):
            raise psycopg2.OperationalError(f"The database did not answer within {answer_timeout:g} seconds.")


_EVENTS = {
    extensions.POLL_READ: select.POLLIN,
    extensions.POLL_WRITE: select.POLLOUT,
}
extensions.set_wait_callback(wait)


def _has_input(connection: Any) -> bool:
    """Return whether there is something to read that no statement asked for, or the connection has ended."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class _Errors(DatabaseErrorWrapper):
    """Treats a read-only server as unavailable, so that a new connection can find the primary."""

    wrapper: base.DatabaseWrapper

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, errors.ReadOnlySqlTransaction):
            self.wrapper.errors_occurred = True
            # Close the connection: after a failover, the old primary may go on serving reads.
            self.wrapper.close_at = 0.0
            raise OperationalError("The database is read-only.") from error
        super().__exit__(kind, error, trace)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's wrapper with time limits, which treats a read-only server as unavailable."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answer_timeout: float | None = None
        self.unbounded = False
        self.checked_at = 0.0

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        """Return the context manager that converts errors of psycopg2."""
        return _Errors(self)

    def get_connection_params(self) -> dict[str, Any]:
        """Return the parameters of a connection, with the time limit."""
        parameters = super().get_connection_params()
        answer_timeout = parameters.pop("answer_timeout", None)
        self.answer_timeout = None if self.unbounded else answer_timeout
        return {**parameters, "connection_factory": partial(Connection, answer_timeout=self.answer_timeout)}

    def init_connection_state(self) -> None:
        """Set the time limits of the session in the server."""
        super().init_connection_state()
        if self.answer_timeout:
            # The server's limit is lower, so that a slow statement fails without losing the connection.
            milliseconds = round(self.answer_timeout * 900)
            with self.connection.cursor() as cursor:
                cursor.execute(_SESSION, {"statement": str(milliseconds), "idle": str(milliseconds * 6)})
            if not self.get_autocommit():
                self.connection.commit()

    def is_usable(self) -> bool:
        """Return whether the connection works, for Django's check before a request or task.

        The server is asked only after an error, after some seconds of disuse, or if there is something to
        read. A server that stops sends a message and closes the connection; one that is killed closes it.
        """
        now = time.monotonic()
        idle, self.checked_at = now - self.checked_at, now
        if self.errors_occurred or idle > _IDLE or _has_input(self.connection):
            return super().is_usable()
        return True

    def remove_time_limits(self) -> None:
        """Remove the limits, for migrations."""
        self.unbounded = True
        self.close()
