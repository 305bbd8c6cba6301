"""The right to run a sweep: one process has it, for as long as it lives."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from django.db import Error, connection
from django.db.models import Q
from django.utils import timezone

from builds.models import Sweep

log = logging.getLogger(__name__)

#: seconds after which the lease of a process that was killed is free for others
SECONDS = 30


class Lease:
    """Taken by ``take``; renewed by a thread within the ``with`` block; given back by ``end``.

    Whoever holds it is told from others by the time until which it is theirs.
    """

    def __init__(self, name: str) -> None:
        Sweep.objects.get_or_create(name=name)
        self._row = Sweep.objects.filter(name=name)
        self._until: datetime | None = None
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"lease of {name}", daemon=True)

    def take(self) -> bool:
        """Take it if it is free; whether that succeeded."""
        now = timezone.now()
        until = now + timedelta(seconds=SECONDS)
        free = Q(leased_until=None) | Q(leased_until__lt=now)
        if not self._row.filter(free).update(leased_until=until, started_at=now):
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
        self._row.filter(leased_until=self._until).update(leased_until=None, **report)

    def _keep(self) -> None:
        while not self._over.wait(SECONDS / 3):
            until = timezone.now() + timedelta(seconds=SECONDS)
            try:
                if not self._row.filter(leased_until=self._until).update(leased_until=until):
                    return
                self._until = until
            except Error as error:
                log.warning("%s could not be renewed: %s", self._keeper.name, error)
            finally:
                connection.close()
