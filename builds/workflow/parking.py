"""Run a step as a Celery task: park it if it must wait, and retry it after an outage or unexpected error.

A parked task stores its signature and ends; an event sends it again. The step runs once more after the row
is committed, so that an event that happened before is not missed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NoReturn

from celery import Task
from celery.exceptions import Ignore, SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, transaction

from builds.dispatch import BROKER_AWAY
from builds.models import ComponentBuild, ModuleBuild, TaskCrash, Wait, clock
from builds.models.locking import locked
from builds.services import log_messages, outages
from builds.workflow import waits
from builds.workflow.canvas import PARKED
from builds.workflow.outcomes import Obsolete, Outcome, Park
from mbs import wait_keys
from mbs.errors import MBSError, Unavailable

log = logging.getLogger(__name__)

#: Exceptions of temporary outages: the database, the broker or the build system is unavailable.
OUTAGES = (Unavailable, OperationalError, InterfaceError, *BROKER_AWAY)
#: Crashes of a task that are further apart are not in a row. A task may end without a reset of its count: the
#: broker lost the redelivered message, and a sweep sent another one.
IN_A_ROW = timedelta(hours=1)


def perform(
    task: Task[..., None],
    step: Callable[..., Outcome],
    *args: int,
    give_up: Callable[..., bool],
    component_id: int | None = None,
) -> None:
    """Run ``step(*args)`` in a task. Returning continues the canvas.

    Args:
        task: The task.
        step: The step.
        args: Build, run and, for some steps, a batch or a component.
        give_up: ``give_up(error, *args)`` records an error that is not retried, and returns whether the
            canvas continues.
        component_id: The component that the step is about, if there is one.

    Raises:
        Ignore: The canvas ends here, or the task is parked.
        Retry: The task is sent again later.
    """
    try:
        if _run_step(task, step, args):
            return
        failure = None
    except OUTAGES as error:
        _retry(task, error, component_id)
    except MBSError as error:
        failure = error
    except Exception as error:  # noqa: BLE001  (``_retry_unexpected`` logs it with its trace)
        failure = _retry_unexpected(task, error, component_id)
    try:
        continues = failure is not None and give_up(failure, *args)
        if failure:
            _delete_wait(task)
            _reset_crashes(task)
    except OUTAGES as error:
        _retry(task, error, component_id)
    if not continues:
        raise Ignore


def _run_step(task: Task[..., None], step: Callable[..., Outcome], args: tuple[int, ...]) -> bool:
    """Run the step; return False if it is parked or obsolete, so that the canvas does not continue."""
    redelivered = (task.request.delivery_info or {}).get("redelivered")
    if redelivered:
        _count_worker_loss(task)
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
        _reset_crashes(task)
    if parked and not waiting:
        _delete_wait(task)
    return done


def _delete_wait(task: Task[..., None]) -> None:
    Wait.objects.filter(celery_task_id=task.request.id).delete()


def _retry(task: Task[..., None], error: Exception, component_id: int | None, what: str = "") -> NoReturn:
    """Send the task again later. A wait shows it to people, and a sweep resends it if the broker loses it."""
    retries = task.request.retries
    delay = min(2 ** min(retries, 10), settings.MBS.RETRY_BACKOFF_MAX)
    log.warning("%s%s is tried again in %s s: %s", task.name, task.request.args, delay, error)
    again = clock.now() + timedelta(seconds=delay)
    remedy = error.hint if isinstance(error, MBSError) else ""
    text = what or outages.text_of(error, remedy)
    park = Park(wait_keys.retry(str(task.request.id)), text, "another try", component_id)
    with suppress(DatabaseError, InterfaceError), transaction.atomic():
        if what:
            _report(task, what, component_id)
        else:
            outages.report([_args(task)[0]], error)
        _store(task, park, retries + 1, again)
    raise task.retry(exc=error, countdown=delay, max_retries=None, headers=_headers(task))


def _report(task: Task[..., None], what: str, component_id: int | None) -> None:
    """Add a log message about a failed try to the component or the build."""
    rows = ModuleBuild.objects if component_id is None else ComponentBuild.objects
    about = rows.only("pk").filter(pk=component_id or _args(task)[0]).first()
    log_messages.add([(about, f"A step is tried again after {what}.")] if about else [])


def _args(task: Task[..., None]) -> Sequence[int]:
    """Return the arguments of the running task: build, run and, for some tasks, a batch or a component."""
    return task.request.args or ()


def _headers(task: Task[..., None]) -> dict[str, Any]:
    return {**(task.request.headers or {}), PARKED: True}


def _store(task: Task[..., None], park: Park, retries: int = 0, woken_at: datetime | None = None) -> None:
    """Commit the wait whose signature sends this task again, with the same id, group, chord and chain."""
    build_id, run, *_ = _args(task)
    signature: dict[str, Any] = dict(task.signature_from_request(headers=_headers(task), retries=retries))
    waits.store([waits.row(build_id, run, park, signature, woken_at=woken_at)])


def _retry_unexpected(task: Task[..., None], error: Exception, component_id: int | None) -> MBSError:
    """Retry after an unexpected error; after ``MAX_TASK_TRIES`` tries, return the error to record."""
    log.exception("%s%s failed", task.name, task.request.args)
    described = f"{type(error).__name__}: {error}"
    try:
        count = _count_crash(task, f"failed ({described})")
    except MBSError as failure:
        return failure
    except OUTAGES as outage:
        _retry(task, outage, component_id)
    tries = f"try {count} of {settings.MBS.MAX_TASK_TRIES} failed"
    _retry(task, error, component_id, f"an unexpected error of the service: {described} ({tries})")


def _count_worker_loss(task: Task[..., None]) -> None:
    """Count that the worker of this task died, and delay the task if that happened several times in a row.

    The broker also redelivers tasks that a dead worker had only fetched. So the first time is no reason to
    wait, and other causes of a worker's death (a deployment, lack of memory) may end during the delay.

    Raises:
        Unavailable: The task is to be tried later.
        MBSError: Workers died too often in a row.
    """
    count = _count_crash(task, "lost its worker")
    if count > 1:
        raise Unavailable(f"The worker of {task.name} died {count} times in a row.")


def _count_crash(task: Task[..., None], what: str) -> int:
    """Count that a task did not end; return how often that happened in a row.

    Raises:
        MBSError: It happened ``MAX_TASK_TRIES`` times.
    """
    with transaction.atomic():
        TaskCrash.objects.bulk_create([TaskCrash(celery_task_id=str(task.request.id))], ignore_conflicts=True)
        crash = locked(TaskCrash.objects.filter(pk=task.request.id)).get()
        now = clock.now()
        before = crash.count if crash.last_at > now - IN_A_ROW else 0
        crash.count, crash.last_at = before + 1, now
        crash.save()
    if crash.count >= settings.MBS.MAX_TASK_TRIES:
        raise MBSError(
            f"{task.name} {what}; it was tried {crash.count} times.",
            code="worker_lost" if what.startswith("lost") else "internal_error",
            hint="Find the cause in the log of the workers (out of memory?), fix it, and submit again.",
        )
    return crash.count


def _reset_crashes(task: Task[..., None]) -> None:
    """Reset the count of a task that has ended."""
    TaskCrash.objects.filter(celery_task_id=task.request.id).delete()
