"""Leases: ensure that one process at a time does some work, and that others take over if it dies."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from django.db import Error, connection
from django.db.models import Q, QuerySet

from builds.models import clock

log = logging.getLogger(__name__)

#: Seconds after which the lease of a killed process expires.
SECONDS = 30


class Lease:
    """A lease in a column of a row.

    ``take`` acquires it, a thread renews it within the ``with`` block, and ``end`` releases it. The column
    holds the end of the lease in the database's time. The end also identifies the holder: a process whose
    lease expired and was taken by another can neither renew nor release it.
    """

    def __init__(self, row: QuerySet[Any], field: str, name: str) -> None:
        """Describe a lease, without taking it.

        Args:
            row: The row that holds the lease.
            field: Its column with the end of the lease, which is null while the lease is free.
            name: Name for the log.
        """
        self._row = row
        self._field = field
        self._until: datetime | None = None
        self._over = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name=f"lease of {name}", daemon=True)

    def take(self, condition: Q | None = None, **fields: Any) -> bool:
        """Take the lease if it is free.

        Args:
            condition: Further condition on the row.
            fields: Further columns to set.

        Returns:
            Whether it was taken.
        """
        now = clock.now()
        until = now + timedelta(seconds=SECONDS)
        free = Q(**{self._field: None}) | Q(**{f"{self._field}__lt": now})
        if not self._row.filter(free, condition or Q()).update(**{self._field: until}, **fields):
            return False
        self._until = until
        return True

    def __enter__(self) -> Self:
        self._renewer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._renewer.join()

    def end(self, **report: Any) -> None:
        """Release the lease and set further columns, unless another process has taken it."""
        self._own_row().update(**{self._field: None}, **report)

    def _own_row(self) -> QuerySet[Any]:
        return self._row.filter(**{self._field: self._until})

    def _renew(self) -> None:
        while not self._over.wait(SECONDS / 3):
            try:
                until = clock.now() + timedelta(seconds=SECONDS)
                if not self._own_row().update(**{self._field: until}):
                    return
                self._until = until
            except Error as error:
                log.warning("%s could not be renewed: %s", self._renewer.name, error)
            finally:
                connection.close()
