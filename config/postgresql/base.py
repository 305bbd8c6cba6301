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


class Connection(extensions.connection):
    """A connection that waits at most ``patience`` seconds for an answer; None: no limit."""

    def __init__(self, *args: Any, patience: float | None = None, **kwargs: Any) -> None:
        # Set before connecting, since the limit applies to that as well.
        self.patience = patience
        super().__init__(*args, **kwargs)


def wait(connection: Any) -> None:
    """Wait for an answer of the server. This is psycopg2's wait callback, used instead of blocking in libpq.

    libpq would wait without limit for an unreachable server. If the callback raises, psycopg2 closes the
    connection.

    Raises:
        psycopg2.OperationalError: The time limit has passed.
    """
    patience = getattr(connection, "patience", None)
    ends = None if patience is None else time.monotonic() + patience
    while (state := connection.poll()) != extensions.POLL_OK:
        poll = select.poll()
        poll.register(connection.fileno(), _EVENTS[state])
        left = None if ends is None else max(0.0, ends - time.monotonic()) * 1000
        if not poll.poll(left):
            raise psycopg2.OperationalError(f"The database did not answer within {patience:g} seconds.")


_EVENTS = {
    extensions.POLL_READ: select.POLLIN,
    extensions.POLL_WRITE: select.POLLOUT,
}
extensions.set_wait_callback(wait)


class _Errors(DatabaseErrorWrapper):
    """Treats a read-only server as unavailable, so that a new connection can find the primary."""

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
    """Bound every wait for the server, and take a read-only server for one that is away."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patience: float | None = None
        self.unbounded = False

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        """The context manager that converts errors of psycopg2."""
        return _Errors(self)

    def get_connection_params(self) -> dict[str, Any]:
        """Return the parameters of a connection, with the time limit."""
        parameters = super().get_connection_params()
        patience = parameters.pop("patience", None)
        self.patience = None if self.unbounded else patience
        return {**parameters, "connection_factory": partial(Connection, patience=self.patience)}

    def init_connection_state(self) -> None:
        """Set the limits in the server."""
        super().init_connection_state()
        if self.patience:
            # The server's limit is lower, so that a slow statement fails without losing the connection.
            milliseconds = round(self.patience * 900)
            with self.connection.cursor() as cursor:
                cursor.execute(_SESSION, {"statement": str(milliseconds), "idle": str(milliseconds * 6)})
            if not self.get_autocommit():
                self.connection.commit()

    def wait_for_ever(self) -> None:
        """Remove the limits, for migrations."""
        self.unbounded = True
        self.close()
