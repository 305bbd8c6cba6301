"""Set work in motion: send tasks by name, and send parked tasks again. Always after commit.

A broker that is away is no error here: the fact is committed, and a sweep finds what was not started. For
the same reason what runs after commit is ``robust``: a fault of one must not keep the others from running.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from datetime import datetime

from celery import current_app
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from builds.models import Wait
from builds.observing.celery import WOKEN
from builds.selectors.prepared import Instances

log = logging.getLogger(__name__)

#: what sending a task raises while the broker is away; a chord talks to Redis directly
BROKER_AWAY = (OperationalError, RedisError)

_waits = Instances(Wait, "key")


def send(task: str, *args: int | float | str, countdown: float = 0) -> None:
    """Send a task by name after commit."""
    transaction.on_commit(lambda: send_now(task, *args, countdown=countdown), robust=True)


def send_now(task: str, *args: int | float | str, countdown: float = 0) -> None:
    """Send a task by name at once."""
    try:
        # Else Celery would subscribe to the result of each, in processes that are no workers.
        current_app.send_task(task, args=args, countdown=countdown or None, ignore_result=True)
    except BROKER_AWAY as error:
        log.warning("Task %s%s was not sent, the broker is away: %s", task, args, error)


def advance(build_id: int) -> None:
    """Have the workflow dispatch whatever remains to be done for a build."""
    send("workflow.advance", build_id)


def wake(keys: str | Iterable[str], *, again: bool = True) -> None:
    """Send again what is parked under these keys. Harmless when nothing is, or when nothing changed.

    :param again: also what was woken before.
    """
    keys = [keys] if isinstance(keys, str) else list(keys)
    if keys:
        transaction.on_commit(lambda: _wake(keys, again), robust=True)


def wake_waits(waits: Sequence[Wait]) -> None:
    """Send these parked tasks again and note when."""
    if not waits:
        return
    _note_woken(waits, timezone.now())
    unsent = []
    for wait in waits:
        signature = current_app.signature(wait.signature)
        # When it was woken, so that the task can tell how long it took to react.
        headers = {**signature.options.get("headers", {}), WOKEN: time.time()}
        try:
            signature.set(headers=headers).apply_async()
        except BROKER_AWAY as error:
            log.warning("%s stays parked, the broker is away: %s", wait, error)
            unsent.append(wait)
    if unsent:
        _note_woken(unsent, None)


def _note_woken(waits: Sequence[Wait], moment: datetime | None) -> None:
    Wait.objects.filter(pk__in=[wait.pk for wait in waits]).update(woken_at=moment)


def _wake(keys: list[str], again: bool) -> None:
    wake_waits([wait for wait in _waits(keys) if again or wait.woken_at is None])
