"""Run a step as a Celery task: park it when it must wait, try again when something is away.

A parked task has stored its own signature and ended; an event sends it again. The facts are looked at
once more after the row is committed, so that an event that came before the row is not missed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from celery import Task
from celery.exceptions import Ignore, SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.utils import timezone

from builds.dispatch import BROKER_AWAY
from builds.models import TaskCrash, Wait
from builds.workflow.outcomes import Obsolete, Outcome, Park
from mbs.errors import MBSError, Unavailable

log = logging.getLogger(__name__)

#: what ends some time: the database, the broker, or the build system is away
OUTAGES = (Unavailable, OperationalError, InterfaceError, *BROKER_AWAY)
#: header of a task that was parked before it was sent this time
PARKED = "mbs_parked"


def perform(
    task: Task,
    step: Callable[..., Outcome],
    *args: int,
    give_up: Callable[..., bool],
    component_id: int | None = None,
) -> None:
    """Run ``step(*args)`` in a task; returning continues the canvas, ``Ignore`` ends or parks it.

    :param give_up: ``give_up(error, *args)`` records an error that nobody can wait for; when it
        answers True the canvas goes on.
    :param args: build, run and, for some steps, a batch; for ``build_component`` the component.
    :param component_id: the component that the step is about, if it is about one.
    """
    try:
        if _done(task, step, args):
            return
        failure = None
    except OUTAGES as error:
        _retry(task, error, component_id)
    except MBSError as error:
        failure = error
    except Exception as error:
        log.exception("%s%s failed", task.name, args)
        failure = MBSError(
            f"The service failed in {task.name}: {type(error).__name__}: {error}",
            hint="The log of the worker has the trace; resubmit when the cause is mended.",
        )
    try:
        goes_on = failure is not None and give_up(failure, *args)
        if failure:
            _forget(task)
    except OUTAGES as error:
        _retry(task, error, component_id)
    if not goes_on:
        raise Ignore


def _done(task: Task, step: Callable[..., Outcome], args: tuple[int, ...]) -> bool:
    """Run the step; False: it is parked, or obsolete, and the canvas does not go on from here."""
    redelivered = (task.request.delivery_info or {}).get("redelivered")
    if redelivered:
        _count_crash(task, "took its worker with it")
    parked, waiting = bool((task.request.headers or {}).get(PARKED)), False
    try:
        outcome = step(*args)
        while isinstance(outcome, Park) and not waiting:
            _store(task, outcome)
            parked, key = True, outcome.key
            outcome = step(*args)
            waiting = isinstance(outcome, Park) and outcome.key == key
        done = not waiting
    except Obsolete:
        done = False
    except SoftTimeLimitExceeded as error:
        _count_crash(task, "hung")
        raise Unavailable(f"{task.name} took too long.") from error
    if redelivered or task.request.retries:
        # A broker that lost its connection gives work back as well, and that harms nobody.
        TaskCrash.objects.filter(celery_task_id=task.request.id).delete()
    if parked and not waiting:
        _forget(task)
    return done


def _forget(task: Task) -> None:
    Wait.objects.filter(celery_task_id=task.request.id).delete()


def _retry(task: Task, error: Exception, component_id: int | None) -> None:
    """Try again later. A row tells people so, and has a sweep do it should the broker lose the message."""
    retries = task.request.retries
    delay = min(2 ** min(retries, 10), settings.MBS.RETRY_BACKOFF_MAX)
    log.warning("%s%s tries again in %s s: %s", task.name, task.request.args, delay, error)
    again = timezone.now() + timedelta(seconds=delay)
    remedy = f" {error.hint}" if isinstance(error, MBSError) and error.hint else ""
    park = Park(f"retry:{task.request.id}", f"an outage: {error}{remedy}", "another try", component_id)
    with suppress(DatabaseError, InterfaceError):
        _store(task, park, retries + 1, again)
    raise task.retry(exc=error, countdown=delay, max_retries=None, headers=_headers(task))


def _headers(task: Task) -> dict[str, Any]:
    return {**(task.request.headers or {}), PARKED: True}


def _store(task: Task, park: Park, retries: int = 0, woken_at: datetime | None = None) -> None:
    """Commit the row that sends this very task again: same id, group, chord and chain."""
    build_id, run, *_ = task.request.args
    signature: dict[str, Any] = dict(task.signature_from_request(headers=_headers(task), retries=retries))
    Wait.objects.update_or_create(
        celery_task_id=task.request.id,
        defaults={
            "module_build_id": build_id,
            "run": run,
            "component_build_id": park.component_id,
            "key": park.key,
            "signature": signature,
            "what": park.what[:500],
            "wakes_on": park.wakes_on[:200],
            "created_at": timezone.now(),
            "woken_at": woken_at,
        },
    )


def _count_crash(task: Task, what: str) -> None:
    """Count that a task did not come to an end, because its worker died or its time was over.

    :raises MBSError: when that happened ``MAX_ATTEMPTS`` times in a row.
    """
    with transaction.atomic():
        crash, _ = TaskCrash.objects.select_for_update().get_or_create(celery_task_id=task.request.id)
        crash.count, crash.last_at = crash.count + 1, timezone.now()
        crash.save()
    if crash.count >= settings.MBS.MAX_ATTEMPTS:
        raise MBSError(
            f"{task.name} {what}; it was tried {crash.count} times.",
            code="worker_lost",
            hint="Look at the log of the workers (out of memory?); resubmit when the cause is mended.",
        )
