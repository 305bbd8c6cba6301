"""The right to do a work alone: one process has it, for as long as it lives."""

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

#: seconds after which the lease of a process that was killed is free for others
SECONDS = 30


class Lease:
    """Taken by ``take``; renewed by a thread within the ``with`` block; given back by ``end``.

    It ends at a moment of the database's time, and that moment tells its holder from others: one that was
    overtaken can neither renew the lease nor give it back.

    :param row: of the table that the lease is kept in.
    :param field: the column with the end of the lease; empty where nobody holds it.
    :param name: for the log.
    """

    def __init__(self, row: QuerySet[Any], field: str, name: str) -> None:
        self._row = row
        self._field = field
        self._until: datetime | None = None
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"lease of {name}", daemon=True)

    def take(self, condition: Q | None = None, **fields: Any) -> bool:
        """Take it if it is free; return whether that succeeded.

        :param condition: what else must hold of the row.
        :param fields: further columns to set.
        """
        now = clock.now()
        until = now + timedelta(seconds=SECONDS)
        free = Q(**{self._field: None}) | Q(**{f"{self._field}__lt": now})
        if not self._row.filter(free, condition or Q()).update(**{self._field: until}, **fields):
            return False
        self._until = until
        return True

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._keeper.join()

    def end(self, **report: Any) -> None:
        """Give it back, with what is to be recorded; one that was overtaken has nothing to say."""
        self._ours().update(**{self._field: None}, **report)

    def _ours(self) -> QuerySet[Any]:
        return self._row.filter(**{self._field: self._until})

    def _keep(self) -> None:
        while not self._over.wait(SECONDS / 3):
            try:
                until = clock.now() + timedelta(seconds=SECONDS)
                if not self._ours().update(**{self._field: until}):
                    return
                self._until = until
            except Error as error:
                log.warning("%s could not be renewed: %s", self._keeper.name, error)
            finally:
                connection.close()
