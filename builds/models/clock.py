"""The time of the database, which all processes share even if the clocks of their machines differ.

Use it for leases, progress times and expiry times: one process writes them and another one, perhaps on
another machine, compares them with the present.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from functools import cache

from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

log = logging.getLogger(__name__)

#: Seconds after which the database is asked for its time again.
_REFRESH_INTERVAL = 60.0


def now() -> datetime:
    """Return the time of the database.

    Each process asks the database once a minute and adds the monotonic clock in between. While the database
    is away it goes on adding; a process that never reached the database starts from this machine's time.
    """
    if connection.vendor != "postgresql":
        # SQLite has no clock, and all its processes are on this machine.
        return timezone.now()
    return _clock().now()


class _Clock:
    """The database's time, as one process last read it."""

    def __init__(self) -> None:
        self._known = timezone.now()
        self._at = time.monotonic()
        self._until = 0.0

    def now(self) -> datetime:
        if time.monotonic() >= self._until:
            self._ask()
        known, at = self._known, self._at
        return known + timedelta(seconds=time.monotonic() - at)

    def _ask(self) -> None:
        begun = time.monotonic()
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT clock_timestamp()")
                (database_time,) = cursor.fetchone()
        except (DatabaseError, InterfaceError) as error:
            log.warning("The time of the database could not be read: %s", error)
            return
        ended = time.monotonic()
        self._at, self._known = (begun + ended) / 2, database_time.astimezone(UTC)
        self._until = ended + _REFRESH_INTERVAL


@cache
def _clock() -> _Clock:
    return _Clock()
