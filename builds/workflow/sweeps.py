"""Sweeps: compare the database with the build system, the bus and the tasks, and wake, advance or clean up.

A sweep may run at any time, even twice. Each item is committed by itself, and an item that fails does not
stop the others.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from builds import dispatch
from builds.messaging import outbox, subscriptions
from builds.models import (
    AuditEntry,
    ComponentBuild,
    Delivery,
    LoadSample,
    ModuleBuild,
    OutboxMessage,
    Phase,
    Sweep,
    TaskCrash,
    Wait,
    clock,
)
from builds.observability import log_context
from builds.selectors import predictions
from builds.services import cancellation, components, duplicate_tasks, outages, slots
from builds.services.build_system import build_system
from builds.services.lease import Lease
from builds.workflow import cleanup, observation
from builds.workflow.parking import IN_A_ROW
from buildsys.base import BuildSystemUnavailable, TaskState, TaskStatus
from mbs.errors import Unavailable
from mbs.states import ACTIVE, SETTLED, BuildState, ComponentState
from mbs.wait_keys import Kind

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Submissions whose status is requested in one call to the build system.
CHUNK = 1000
#: Module builds whose tags are compared in one call.
SLICE = 100
#: Rows deleted by one statement.
DELETE_SLICE = 5000
#: Columns of a component that are compared with its status in the build system.
_COMPARED = ("task_id", "module_build_id", "task_url", "nvr", "time_started")
#: Time for which published messages are kept for operators.
KEEP = timedelta(days=7)


def lost_work() -> dict[str, int]:
    """Send ``recover_lost`` to the workflow queue, behind all tasks that wait there now."""
    dispatch.send_now("workflow.recover_lost", clock.now().timestamp())
    return {}


def recover_lost(sent_at: float) -> dict[str, int]:
    """Advance builds that have no task left, and wake tasks again whose wake-up was lost.

    Args:
        sent_at: When this task was sent to the workflow queue (seconds since the epoch). Steps of builds
            wait there as long as this task did, and a build takes up to three steps between two updates of
            ``progress_at``. That time is added to the limits, so that a long queue does not count as a loss.
    """
    now = clock.now()
    queued = timedelta(seconds=max(0.0, now.timestamp() - sent_at))
    before = now - timedelta(seconds=settings.MBS.LOST_AFTER) - 3 * queued
    lost = _lost_builds().filter(progress_at__lt=before)
    woken_before = now - timedelta(seconds=settings.MBS.WAKE_AGAIN_AFTER) - queued
    return _each(lost.values_list("pk", flat=True), dispatch.advance, "advanced") | _each(
        _stuck_waits(woken_before), _wake, "woken"
    )


def _lost_builds() -> QuerySet[ModuleBuild]:
    """Return builds that have no parked task, or lack the task of a component that has not ended.

    Without that task the batch would never end.
    """
    under_way = Q(state__in=ACTIVE) | Q(state=BuildState.DONE, scratch=False)
    # Rows of earlier runs, which may be stored late, do not count.
    waits = Wait.objects.filter(run=OuterRef("run"))
    parked = Wait.objects.filter(component_build=OuterRef("pk"), run=OuterRef("module_build__run"))
    forgotten = ComponentBuild.objects.filter(
        Q(state=None, blocked=False) | Q(state=ComponentState.BUILDING),
        ~Exists(parked),
        module_build=OuterRef("pk"),
        batch=OuterRef("batch"),
    )
    return ModuleBuild.objects.filter(
        under_way & ~Exists(waits.filter(module_build=OuterRef("pk")))
        | Q(state=BuildState.BUILD, phase=Phase.BUILDING) & Exists(forgotten)
    )


def _stuck_waits(woken_before: datetime) -> QuerySet[Wait]:
    """Return waits that were woken but still exist, and waits that should have been woken."""
    not_lately = Q(woken_at=None) | Q(woken_at__lt=woken_before)
    free = Q(component_build__submitting_until=None) | Q(component_build__submitting_until__lt=clock.now())
    ended = Q(component_build__state__in=SETTLED)
    unsubmitted = free & Q(component_build__state=ComponentState.BUILDING, component_build__task_id=None)
    unheard = Q(key__startswith=Kind.AFTER.prefix) | Q(key__startswith=Kind.CHECK.prefix)
    if not settings.MBS.NUM_CONCURRENT_BUILDS:
        # These began to wait while there was a limit.
        unheard |= Q(key__startswith=Kind.SLOT.prefix)
    unheard &= Q(created_at__lt=woken_before)
    return Wait.objects.filter(Q(woken_at__lt=woken_before) | (not_lately & (ended | unsubmitted | unheard)))


def stuck_waits() -> dict[str, int]:
    """Delete obsolete waits, give out free slots, and stop components that still build for ended builds."""
    moved_on = ~Q(module_build__state__in=[*ACTIVE, BuildState.DONE]) | ~Q(run=F("module_build__run"))
    gone = list(Wait.objects.filter(moved_on).values_list("pk", flat=True))
    deleted = dispatch.delete_waits(Wait.objects.filter(pk__in=gone)) if gone else 0
    slots.hand_out()
    stopping = ModuleBuild.objects.filter(
        ~Q(state__in=ACTIVE), component_builds__state=ComponentState.BUILDING
    ).distinct()
    stopped = _each(stopping.values_list("pk", flat=True), _stop_components, "stopped")
    return {"deleted": deleted} | stopped


def open_builds() -> dict[str, int]:
    """Ask the build system about all components that build, and record changes."""
    rows = ComponentBuild.objects.filter(state=ComponentState.BUILDING).exclude(task_id=None).order_by("pk")
    result: Counter[str] = Counter(open=0, builds=0)
    after = 0
    while part := list(rows.filter(pk__gt=after).only(*_COMPARED)[:CHUNK]):
        after = part[-1].pk
        result["open"] += len(part)
        result += Counter(_poll({component.task_id or 0: component for component in part}))
    if result["open"]:
        outages.end()
    return {"open": 0, "builds": 0, **result}


def _poll(submissions: Mapping[int, ComponentBuild]) -> dict[str, int]:
    """Ask the build system about these submissions, and record changes."""
    system, numbers = build_system(), list(submissions)
    system.recover(numbers)
    by_build: dict[int, list[TaskStatus]] = defaultdict(list)
    for status in system.statuses(numbers):
        component = submissions[status.task_id]
        if _is_news(status, component):
            by_build[component.module_build_id].append(status)

    def record(build: ModuleBuild) -> None:
        statuses = duplicate_tasks.reclassify(build, by_build[build.pk])
        ids = [submissions[status.task_id].pk for status in statuses]
        components.record(build, ids, statuses)

    # Only builds with changes are read: most submissions are open and unchanged.
    news = ModuleBuild.objects.defer("modulemd").filter(pk__in=by_build)
    return _each(news, record, "builds")


def _is_news(status: TaskStatus, component: ComponentBuild) -> bool:
    """Return whether a status differs from what is recorded of a component that builds."""
    started = component.time_started.timestamp() if component.time_started else None
    return (
        status.state is not TaskState.OPEN
        or bool(status.url and status.url != component.task_url)
        or bool(status.nvr and status.nvr != component.nvr)
        # Databases store microseconds only.
        or bool(status.started and (started is None or abs(status.started - started) > 0.001))
    )


def failed_builds() -> dict[str, int]:
    """Abandon failed builds for which the task ``workflow.abandon`` was lost or met an outage."""
    return _each(cancellation.to_abandon().order_by("pk"), _abandon, "abandoned")


def open_repos() -> dict[str, int]:
    """Wake tasks that wait for a tag or a repository, because failures of these cause no message.

    One call asks about all requested repositories, and those that are being regenerated are left waiting.
    """
    # Woken tasks check again anyway, or ``recover_lost`` wakes them again.
    waits = Wait.objects.filter(woken_at=None).select_related("module_build").defer("module_build__modulemd")
    tags, repos = (list(waits.filter(key__startswith=kind.prefix)) for kind in (Kind.TAG, Kind.REPO))
    requests = {number for wait in repos if (number := wait.module_build.new_repo_task_id) is not None}
    under_way = build_system().repos_under_way(sorted(requests)) if requests else set()
    if requests:
        outages.end()
    due = [wait for wait in repos if wait.module_build.new_repo_task_id not in under_way]
    return _each(tags + due, _wake, "woken")


def publish_outbox() -> dict[str, int]:
    """Publish the messages that the bus has not confirmed."""
    result = _each(outbox.pending_builds(), outbox.flush, "builds")
    result["waiting"] = outbox.unconfirmed().count()
    if aside := outbox.set_aside().count():
        result["set_aside"] = aside
    return result


def lost_tags() -> dict[str, int]:
    """Tag components again that are missing from their tags, for half of ``POLLING_INTERVAL`` at most.

    The next run continues after the last build of this one (``after`` in its result).
    """
    ends = time.monotonic() + settings.MBS.POLLING_INTERVAL / 2
    last = Sweep.objects.filter(name="lost_tags").values_list("result", flat=True).first() or {}
    after, result = last.get("after", 0), Counter[str]()
    while True:
        builds = list(cleanup.building().filter(pk__gt=after)[:SLICE])
        result["builds"] += len(builds)
        result += Counter(_each(cleanup.untagged(builds), cleanup.restore_tags, "restored"))
        after = builds[-1].pk if len(builds) == SLICE else 0
        if not after or time.monotonic() >= ends:
            return {"builds": 0, **result, "after": after}


def old_targets() -> dict[str, int]:
    """Remove build targets of builds that ended some time ago, and retired builds from repositories."""
    tags = cleanup.ended_long_ago()
    if tags:
        cleanup.retire(tags)
    return {"retired": len(tags), **_each(cleanup.in_repositories(), cleanup.withdraw, "withdrawn")}


def old_failures() -> dict[str, int]:
    """Move builds that failed long ago to garbage."""
    return _each(cleanup.failed_long_ago(), cleanup.discard, "discarded")


def stuck_builds() -> dict[str, int]:
    """Fail builds that have made no progress for long."""
    return _each(cleanup.stuck(), cleanup.give_up, "failed_as_stuck")


def clean_up() -> dict[str, int]:
    """Delete old messages, crash counts, samples of the load and audit entries, and expired sessions."""
    before = clock.now() - KEEP
    messages = _delete(OutboxMessage.objects.filter(published_at__lt=before))
    deliveries = _delete(Delivery.objects.filter(sent_at__lt=before))
    crashes = _delete(TaskCrash.objects.filter(last_at__lt=clock.now() - IN_A_ROW))
    samples = _delete(LoadSample.objects.filter(time__lt=before))
    audited_before = clock.now() - timedelta(days=settings.MBS.AUDIT_DAYS)
    return {
        "messages": messages,
        "deliveries": deliveries,
        "crashes": crashes,
        "sessions": _delete(Session.objects.filter(expire_date__lt=clock.now())),
        "samples": samples,
        "audit_entries": _delete(AuditEntry.objects.filter(time__lt=audited_before)),
    }


def _delete(rows: QuerySet[Any]) -> int:
    """Delete rows in slices, so that no statement exceeds the time limit of the database."""
    count = 0
    while part := list(rows.order_by("pk").values_list("pk", flat=True)[:DELETE_SLICE]):
        count += rows.model._default_manager.filter(pk__in=part).delete()[0]
    return count


#: All sweeps, by the names that ``celeryconfig.beat_schedule`` and the admin use.
SWEEPS: dict[str, Callable[[], Mapping[str, Any]]] = {
    "lost_work": lost_work,
    "stuck_waits": stuck_waits,
    "open_builds": open_builds,
    "failed_builds": failed_builds,
    "open_repos": open_repos,
    "outbox": publish_outbox,
    "subscriptions": subscriptions.send_due,
    "lost_tags": lost_tags,
    "old_targets": old_targets,
    "old_failures": old_failures,
    "stuck_builds": stuck_builds,
    observation.SAMPLES: observation.take_sample,
    predictions.SWEEP: observation.measure_predictions,
    predictions.FORECAST: observation.predict_many,
    "build_system": observation.check_build_system,
    "clean_up": clean_up,
}


def run(name: str, every: float = 0) -> bool:
    """Run a sweep unless one of its kind is running, and store its result in its row.

    Args:
        name: Name of the sweep.
        every: Seconds between two runs. If a run began less than half of that ago, this one is skipped, since
            sweeps that waited in a queue arrive all at once. Expiring messages are no alternative: they
            compare the clocks of two machines, and if those differ much, no sweep would ever run.

    Returns:
        Whether it ran.
    """
    Sweep.objects.get_or_create(name=name)
    lease, now = Lease(Sweep.objects.filter(name=name), "leased_until", name), clock.now()
    due = Q(started_at=None) | Q(started_at__lt=now - timedelta(seconds=every / 2))
    # A start in the future was written while a clock was wrong.
    due |= Q(started_at__gt=now + timedelta(seconds=1))
    if not lease.take(due if every else None, started_at=now):
        return False
    result: Mapping[str, Any] = {}
    error = ""
    try:
        with lease:
            result = SWEEPS[name]()
    except Unavailable as outage:
        # Without a traceback, since each run logs this until the outage is over.
        error = str(outage)
        log.warning("The sweep %s was stopped by an outage and runs again later: %s", name, outage)
        if isinstance(outage, BuildSystemUnavailable):
            outages.begin(outage)
    except Exception as failure:
        error = "".join(traceback.format_exception_only(failure)).strip()
        raise
    finally:
        lease.end(finished_at=clock.now(), result=result, error=error)
    return True


def _stop_components(build_id: int) -> None:
    dispatch.send("workflow.stop_components", build_id)


def _abandon(build: ModuleBuild) -> None:
    cancellation.abandon(build.pk, build.run)


def _wake(wait: Wait) -> None:
    dispatch.wake_waits([wait])


def _each(items: Iterable[T], work: Callable[[T], object], done: str) -> dict[str, int]:
    """Do ``work`` for each item; return how many succeeded and how many failed."""
    count = failed = 0
    for item in list(items):
        try:
            with log_context.bound(**_log_fields(item)):
                work(item)
            count += 1
        except (SoftTimeLimitExceeded, Unavailable):
            # An outage affects the other items too.
            raise
        except Exception:
            failed += 1
            with log_context.bound(**_log_fields(item)):
                log.exception("A sweep failed for %s", item)
    return {done: count} | ({"failed": failed} if failed else {})


def _log_fields(item: object) -> dict[str, object]:
    """Return the log context of an item: a build, the number of one, or a wait."""
    match item:
        case ModuleBuild():
            return log_context.of_build(item)
        case Wait():
            return log_context.of_build_id(item.module_build_id)
        case int():
            return log_context.of_build_id(item)
    return {}
