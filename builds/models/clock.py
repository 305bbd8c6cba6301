"""The time of the database, which is the same for all processes whatever their own clocks say.

Leases, marks of progress and times of expiry are written by one process and judged by another, on another
machine: they are all in this time. What people read may be.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from functools import cache

from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

log = logging.getLogger(__name__)

#: seconds after which the database is asked for its time again
_REFRESH_INTERVAL = 60.0


def now() -> datetime:
    """Return the time of the database.

    The database is asked once a minute in each process; meanwhile the monotonic clock counts on, which
    nobody can set. While the database is away that goes on, from this machine's time if need be.
    """
    if connection.vendor != "postgresql":
        # SQLite has no clock of its own, and its processes are all on this machine.
        return timezone.now()
    return _clock().now()


class _Clock:
    """The database's time as one process knows it."""

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
            log.warning("The database did not tell its time: %s", error)
            return
        ended = time.monotonic()
        self._at, self._known = (begun + ended) / 2, database_time.astimezone(UTC)
        self._until = ended + _REFRESH_INTERVAL


@cache
def _clock() -> _Clock:
    return _Clock()
