"""Set work in motion: send tasks by name, and send parked tasks again. Always after commit.

A broker that is away is no error here: the fact is committed, and a sweep finds what was not started. For
the same reason what runs after commit is ``robust``: a fault of one must not keep the others from running.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from celery import Signature, current_app
from celery.app.task import Context
from django.db import connection, transaction
from django.db.models import QuerySet
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from builds.models import Wait, clock
from builds.models.locking import locked
from builds.observability.celery_signals import WOKEN
from builds.selectors.prepared import ByValues, Instances
from builds.selectors.statements import Given
from mbs.states import SETTLED

log = logging.getLogger(__name__)

#: what sending a task raises while the broker is away; a chord talks to Redis directly
BROKER_AWAY = (OperationalError, RedisError)

_waits = Instances(Wait, "key")
_COLUMNS = [field.attname for field in Wait._meta.concrete_fields]
_of_ended = ByValues(
    Wait.objects.filter(key__among=Given(), component_build__state__in=SETTLED).values_list(*_COLUMNS)
)


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


def send_signature(signature: Signature) -> None:
    """Send a task of which a wait is recorded; a sweep sends it when the broker is away."""
    try:
        signature.apply_async()
    except BROKER_AWAY as error:
        log.warning("%s was not sent, the broker is away: %s", signature, error)


def advance(build_id: int) -> None:
    """Have the workflow dispatch whatever remains to be done for a build."""
    send("workflow.advance", build_id)


def wake(keys: str | Iterable[str]) -> None:
    """Send again what is parked under these keys, unless it was sent already and has not looked since.

    Harmless when nothing is parked, or when nothing changed.
    """
    keys = [keys] if isinstance(keys, str) else list(keys)
    if keys:
        transaction.on_commit(lambda: _wake(keys), robust=True)


def complete(keys: Iterable[str]) -> None:
    """Count parked members of a chord as done whose components have ended; wake what else is parked there.

    It is what these tasks would do themselves: the last one of a chord sends its body.
    """
    keys = list(keys)
    if keys:
        transaction.on_commit(lambda: _complete(keys), robust=True)


def wake_waits(waits: Iterable[Wait]) -> int:
    """Send these parked tasks again and note when; one that another process has sent meanwhile is left out.

    Returns:
        how many were sent.
    """
    return sum(map(_send_again, waits))


def _send_again(wait: Wait) -> bool:
    now = clock.now()
    rows = Wait.objects.filter(pk=wait.pk)
    if not rows.filter(woken_at=wait.woken_at).update(woken_at=now):
        return False
    signature = current_app.signature(wait.signature)
    # When it was woken, so that the task can tell how long it took to react.
    headers = {**signature.options.get("headers", {}), WOKEN: time.time()}
    try:
        signature.set(headers=headers).apply_async()
    except BROKER_AWAY as error:
        log.warning("%s stays parked, the broker is away: %s", wait, error)
        rows.filter(woken_at=now).update(woken_at=None)
        return False
    return True


def _wake(keys: list[str]) -> None:
    wake_waits(wait for wait in _waits(keys) if wait.woken_at is None)


def _complete(keys: list[str]) -> None:
    # In one statement: a component that was begun anew meanwhile has another wait, and has not ended.
    waits = [Wait.from_db(connection.alias, _COLUMNS, row) for row in _of_ended(keys)]
    done = [wait for wait in waits if wait.signature["options"].get("chord") and _count_done(wait)]
    if done:
        delete_waits(Wait.objects.filter(pk__in=[wait.pk for wait in done]))
    wake_waits(wait for wait in waits if wait not in done and wait.woken_at is None)


def _count_done(wait: Wait) -> bool:
    """Count one member of a chord; counted twice, by a task of its own too, it counts once."""
    options = wait.signature["options"]
    body = dict(options["chord"])
    # When its last part ended, so that the body can tell how long it took to react.
    body["options"] = {**body.get("options", {}), "headers": {WOKEN: time.time()}}
    request = Context(
        id=options["task_id"],
        group=options["group_id"],
        group_index=options.get("group_index"),
        chord=body,
    )
    try:
        current_app.backend.mark_as_done(request.id, None, request, store_result=False)
    except BROKER_AWAY as error:
        log.warning("%s stays parked, the broker is away: %s", wait, error)
        return False
    return True


def delete_waits(waits: QuerySet[Wait]) -> int:
    """Delete waits, but for those that another transaction is changing; return how many."""
    with transaction.atomic():
        # What is locked is about to be deleted as well, or belongs to a task that looks again.
        numbers = list(waits.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True))
        return Wait.objects.filter(pk__in=numbers).delete()[0]


def delete_all_waits(build_id: int) -> None:
    """Delete all waits of a build in the present transaction, which has locked the build."""
    rows = locked(Wait.objects.filter(module_build=build_id))
    Wait.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).delete()
