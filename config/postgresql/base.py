"""Django's PostgreSQL: asking less often whether a connection still lives, and waiting for bounded times."""

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

#: seconds for which a connection that lived is taken to live on
TRUSTED = 1.0
#: bounds at the server's side: for statements, and for a client that hangs in a transaction and keeps locks
_SESSION = """
    SELECT set_config('statement_timeout', %(statement)s, false),
        set_config('idle_in_transaction_session_timeout', %(idle)s, false),
        set_config('tcp_keepalives_idle', '10', false),
        set_config('tcp_keepalives_interval', '5', false),
        set_config('tcp_keepalives_count', '3', false)
"""


class Connection(extensions.connection):
    """A connection that gives up waiting for the server after ``patience`` seconds; None: never."""

    def __init__(self, *args: Any, patience: float | None = None, **kwargs: Any) -> None:
        # Before it connects, which is waited for as well.
        self.patience = patience
        super().__init__(*args, **kwargs)


def wait(connection: Any) -> None:
    """Wait until the server has answered: psycopg2's wait callback, by which it never blocks in libpq.

    libpq itself would wait for ever for a server that was cut off, or that a proxy does not reach any more.
    psycopg2 closes a connection whose callback raises.

    Raises:
        psycopg2.OperationalError: The time is over.
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
    """Takes a server that has become read only for what it is: away, until a connection finds another one."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, errors.ReadOnlySqlTransaction):
            self.wrapper.errors_occurred = True
            # Not kept for the next request: after a failover the old server may serve reads for ever.
            self.wrapper.close_at = 0.0
            raise OperationalError("The database is read only.") from error
        super().__exit__(kind, error, trace)


class DatabaseWrapper(base.DatabaseWrapper):
    """``CONN_HEALTH_CHECKS`` costs a statement in every request; here it costs one a second at most.

    A connection that was lost within that second ends its request with an error, as one that is lost in
    the middle of a request does anyway.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.trusted_until = 0.0
        self.patience: float | None = None
        self.unbounded = False

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return _Errors(self)

    def get_connection_params(self) -> dict[str, Any]:
        parameters = super().get_connection_params()
        patience = parameters.pop("patience", None)
        self.patience = None if self.unbounded else patience
        return {**parameters, "connection_factory": partial(Connection, patience=self.patience)}

    def init_connection_state(self) -> None:
        super().init_connection_state()
        if self.patience:
            # The server stops a statement before this side gives up the whole connection for it.
            milliseconds = round(self.patience * 900)
            with self.connection.cursor() as cursor:
                cursor.execute(_SESSION, {"statement": str(milliseconds), "idle": str(milliseconds * 6)})
            if not self.get_autocommit():
                self.connection.commit()

    def wait_for_ever(self) -> None:
        """Bound no statement any more: a migration takes as long as it takes."""
        self.unbounded = True
        self.close()

    def close_if_health_check_failed(self) -> None:
        if self.health_check_done:
            return
        if time.monotonic() >= self.trusted_until:
            super().close_if_health_check_failed()
            self.trusted_until = time.monotonic() + TRUSTED
        # Not once more in this request: at the end of a transaction the question would begin another.
        self.health_check_done = True
