"""Send tasks by name, and wake parked tasks. Both happen after the transaction is committed.

An unavailable broker is logged, not raised: the change is committed, and a sweep finds work that was not
sent. Callbacks after the commit are ``robust``, so that an error in one does not prevent the others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from celery import Signature, current_app
from celery.app.task import Context
from django.db import transaction
from django.db.models import QuerySet
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from builds.broker import quick_broker
from builds.models import Wait, clock
from builds.models.locking import locked
from builds.observability.celery_signals import WOKEN
from mbs.states import SETTLED

log = logging.getLogger(__name__)

#: Exceptions of sending a task while the broker is unavailable. Chords access Redis directly.
BROKER_AWAY = (OperationalError, RedisError)


def send(task: str, *args: int | float | str, countdown: float = 0) -> None:
    """Send a task by name after commit."""
    transaction.on_commit(lambda: send_now(task, *args, countdown=countdown), robust=True)


def send_now(task: str, *args: int | float | str, countdown: float = 0) -> None:
    """Send a task by name at once."""
    try:
        # Otherwise Celery would subscribe to the result of each task, in processes that are not workers.
        current_app.send_task(task, args=args, countdown=countdown or None, ignore_result=True)
    except BROKER_AWAY as error:
        log.warning("Task %s%s was not sent because the broker is unavailable: %s", task, args, error)


def send_quickly(task: str, *args: int | float | str) -> None:
    """Send a task at once, for a request that must not wait for a broker that hangs."""
    try:
        with quick_broker() as broker:
            current_app.send_task(task, args=args, connection=broker, retry=False, ignore_result=True)
    except (*BROKER_AWAY, OSError) as error:
        log.warning("Task %s%s was not sent because the broker is unavailable: %s", task, args, error)


def send_signature(signature: Signature) -> None:
    """Send a task that has a row of ``Wait``; if the broker is unavailable, a sweep sends it later."""
    try:
        signature.apply_async()
    except BROKER_AWAY as error:
        log.warning("%s was not sent because the broker is unavailable: %s", signature, error)


def advance(build_id: int) -> None:
    """Have the workflow send the canvas of everything that remains to be done for a build."""
    send("workflow.advance", build_id)


def wake(keys: str | Iterable[str]) -> None:
    """Wake the tasks that are parked under these keys, unless they were woken and have not run since.

    It does nothing if no task is parked there, and a task that finds nothing changed parks again.
    """
    keys = [keys] if isinstance(keys, str) else list(keys)
    if keys:
        transaction.on_commit(lambda: _wake(keys), robust=True)


def complete(keys: Iterable[str]) -> None:
    """Complete the chord members of components that have ended; wake other tasks parked under these keys.

    The members are counted in the chord without being run again. The last one sends the chord's body.
    """
    keys = list(keys)
    if keys:
        transaction.on_commit(lambda: _complete(keys), robust=True)


def wake_waits(waits: Iterable[Wait]) -> int:
    """Wake these tasks and store the time; skip those that another process has woken meanwhile.

    Returns:
        How many were sent.
    """
    return sum(map(_send_again, waits))


def _send_again(wait: Wait) -> bool:
    now = clock.now()
    rows = Wait.objects.filter(pk=wait.pk)
    if not rows.filter(woken_at=wait.woken_at).update(woken_at=now):
        return False
    signature = current_app.signature(wait.signature)
    # The task measures its reaction time from this.
    headers = {**signature.options.get("headers", {}), WOKEN: time.time()}
    try:
        signature.set(headers=headers).apply_async()
    except BROKER_AWAY as error:
        log.warning("%s stays parked because the broker is unavailable: %s", wait, error)
        rows.filter(woken_at=now).update(woken_at=None)
        return False
    return True


def _wake(keys: list[str]) -> None:
    wake_waits(Wait.objects.filter(key__in=keys, woken_at=None).order_by("pk"))


def _complete(keys: list[str]) -> None:
    # One statement reads waits and states: a component that was restarted meanwhile must not count as ended.
    waits = list(Wait.objects.filter(key__in=keys, component_build__state__in=SETTLED).order_by("pk"))
    done = [wait for wait in waits if wait.signature["options"].get("chord") and _count_done(wait)]
    if done:
        delete_waits(Wait.objects.filter(pk__in=[wait.pk for wait in done]))
    wake_waits(wait for wait in waits if wait not in done and wait.woken_at is None)


def _count_done(wait: Wait) -> bool:
    """Count one member of a chord as done. Celery counts a member once, however often this runs."""
    options = wait.signature["options"]
    body = dict(options["chord"])
    # The body measures its reaction time from the end of the last member.
    body["options"] = {**body.get("options", {}), "headers": {WOKEN: time.time()}}
    task_id = options["task_id"]
    request = Context(
        id=task_id,
        group=options["group_id"],
        group_index=options.get("group_index"),
        chord=body,
    )
    try:
        current_app.backend.mark_as_done(task_id, None, request, store_result=False)
    except BROKER_AWAY as error:
        log.warning("%s stays parked because the broker is unavailable: %s", wait, error)
        return False
    return True


def delete_waits(waits: QuerySet[Wait]) -> int:
    """Delete waits except those that another transaction has locked; return how many were deleted."""
    with transaction.atomic():
        # Locked rows are being deleted too, or belong to a task that checks the database again.
        unlocked = waits.select_for_update(skip_locked=True).values("pk")
        return Wait.objects.filter(pk__in=unlocked).delete()[0]


def delete_all_waits(build_id: int) -> None:
    """Delete all waits of a build in the current transaction, which must have locked the build."""
    rows = locked(Wait.objects.filter(module_build=build_id))
    Wait.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).delete()
