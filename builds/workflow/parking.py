"""Run a step as a Celery task: park it when it must wait, try again when something is away.

A parked task has stored its own signature and ended; an event sends it again. The facts are looked at
once more after the row is committed, so that an event that came before the row is not missed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery import Task
from celery.exceptions import Ignore
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from builds.models import TaskCrash, Wait
from builds.workflow.outcomes import Obsolete, Outcome, Park
from mbs.errors import MBSError, Unavailable

log = logging.getLogger(__name__)

#: header of a task that was parked before it was sent this time
PARKED = "mbs_parked"


def perform(
    task: Task,
    step: Callable[..., Outcome],
    *args: int,
    give_up: Callable[..., bool],
) -> None:
    """Run ``step(*args)`` in a task; returning continues the canvas, ``Ignore`` ends or parks it.

    :param give_up: ``give_up(error, *args)`` records an error that nobody can wait for; when it
        answers True the canvas goes on.
    :param args: build, run and, for some steps, a batch; for ``build_component`` the component.
    """
    try:
        _count_crash(task)
        if _done(task, step, args):
            return
        failure = None
    except (Unavailable, OperationalError, InterfaceError) as error:
        _retry(task, error)
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
    except (OperationalError, InterfaceError) as error:
        _retry(task, error)
    if not goes_on:
        raise Ignore


def _done(task: Task, step: Callable[..., Outcome], args: tuple[int, ...]) -> bool:
    """Run the step; False: it is parked, or obsolete, and the canvas does not go on from here."""
    parked = bool((task.request.headers or {}).get(PARKED))
    try:
        outcome = step(*args)
        while isinstance(outcome, Park):
            _store(task, outcome)
            parked, key = True, outcome.key
            outcome = step(*args)
            if isinstance(outcome, Park) and outcome.key == key:
                return False
        done = True
    except Obsolete:
        done = False
    if parked:
        Wait.objects.filter(celery_task_id=task.request.id).delete()
    return done


def _retry(task: Task, error: Exception) -> None:
    delay = min(2 ** min(task.request.retries, 10), settings.MBS.RETRY_BACKOFF_MAX)
    log.warning("%s%s tries again in %s s: %s", task.name, task.request.args, delay, error)
    raise task.retry(exc=error, countdown=delay, max_retries=None)


def _store(task: Task, park: Park) -> None:
    """Commit the row that sends this very task again: same id, group, chord and chain."""
    build_id, run, *_ = task.request.args
    headers = {**(task.request.headers or {}), PARKED: True}
    signature: dict[str, Any] = dict(task.signature_from_request(headers=headers, retries=0))
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
            "woken_at": None,
        },
    )


def _count_crash(task: Task) -> None:
    """Count a delivery that is a second one because the worker died.

    :raises MBSError: when this task took ``MAX_ATTEMPTS`` workers with it.
    """
    if not (task.request.delivery_info or {}).get("redelivered"):
        return
    with transaction.atomic():
        crash, _ = TaskCrash.objects.select_for_update().get_or_create(celery_task_id=task.request.id)
        crash.count, crash.last_at = crash.count + 1, timezone.now()
        crash.save()
    if crash.count >= settings.MBS.MAX_ATTEMPTS:
        raise MBSError(
            f"{task.name} took its worker with it {crash.count} times.",
            code="worker_lost",
            hint="Look at the log of the workers (out of memory?); resubmit when the cause is mended.",
        )
