"""Sweeps: compare what the database believes with what is, and wake or advance. Any of them may run at
any time, twice too; each item is committed alone, and one that fails does not stop the rest.
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
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from builds import dispatch
from builds.messaging import outbox
from builds.models import ComponentBuild, ModuleBuild, OutboxMessage, Phase, Sweep, TaskCrash, Wait, clock
from builds.observability import log_context
from builds.services import components, doubles, outages, slots
from builds.services.build_system import build_system
from builds.workflow import buildafter, checks, cleanup
from builds.workflow.lease import Lease
from buildsys.base import BuildSystemUnavailable, TaskState, TaskStatus
from mbs.errors import Unavailable
from mbs.states import ACTIVE, SETTLED, BuildState, ComponentState

log = logging.getLogger(__name__)
T = TypeVar("T")

#: submissions asked about in one call of the build system
CHUNK = 1000
#: module builds whose tags are compared in one call
SLICE = 100
#: rows deleted by one statement
SLICE_DELETED = 5000
#: of a component, to tell whether a status says anything new
_KNOWN = ("task_id", "module_build_id", "task_url", "nvr", "time_started")
#: how long messages that were published are kept for the operators
KEEP = timedelta(days=7)


def lost_work() -> dict[str, int]:
    """Have the workflow queue look for lost builds: behind all the work that waits there now."""
    dispatch.send_now("workflow.recover_lost", clock.now().timestamp())
    return {}


def recover_lost(sent_at: float) -> dict[str, int]:
    """Advance builds that nothing works on, and wake again what was woken in vain.

    :param sent_at: when this was put on the queue of the workflow (seconds since the epoch). What it
        waited there, each step of a build waits too, and a build takes up to three steps between two
        marks of progress: a long queue is no loss, and must not be made longer.
    """
    now = clock.now()
    queued = timedelta(seconds=max(0.0, now.timestamp() - sent_at))
    before = now - timedelta(seconds=settings.MBS.LOST_AFTER) - 3 * queued
    lost = _lost().filter(progress_at__lt=before)
    woken_before = now - timedelta(seconds=settings.MBS.WAKE_AGAIN_AFTER) - queued
    return _each(lost.values_list("pk", flat=True), dispatch.advance, "advanced") | _each(
        _stuck(woken_before), _wake, "woken"
    )


def _lost() -> QuerySet[ModuleBuild]:
    """Builds of which no task is parked, or one is missing: that of a component which is not done.

    Such a one would keep others of its batch waiting: for its end, or for the place that it is to have.
    """
    under_way = Q(state__in=ACTIVE) | Q(state=BuildState.DONE, scratch=False)
    # A row of an earlier run, stored behind its end, is no sign of life.
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


def _stuck(woken_before: datetime) -> QuerySet[Wait]:
    """Waits that were woken and are still there, or that something should have woken."""
    not_lately = Q(woken_at=None) | Q(woken_at__lt=woken_before)
    free = Q(component_build__submitting_until=None) | Q(component_build__submitting_until__lt=clock.now())
    ended = Q(component_build__state__in=SETTLED)
    unsubmitted = free & Q(component_build__state=ComponentState.BUILDING, component_build__task_id=None)
    unheard = Q(key__startswith=buildafter.KEY) | Q(key__startswith=checks.KEY)
    if not settings.MBS.NUM_CONCURRENT_BUILDS:
        # There was a limit when they began to wait.
        unheard |= Q(key__startswith=slots.KEY)
    unheard &= Q(created_at__lt=woken_before)
    return Wait.objects.filter(Q(woken_at__lt=woken_before) | (not_lately & (ended | unsubmitted | unheard)))


def stuck_waits() -> dict[str, int]:
    """Forget waits of builds that moved on; give away free slots; stop what builds for ended builds."""
    moved_on = ~Q(module_build__state__in=[*ACTIVE, BuildState.DONE]) | ~Q(run=F("module_build__run"))
    gone = list(Wait.objects.filter(moved_on).values_list("pk", flat=True))
    forgotten = dispatch.forget(Wait.objects.filter(pk__in=gone)) if gone else 0
    slots.hand_out()
    stopping = ModuleBuild.objects.filter(
        ~Q(state__in=ACTIVE), component_builds__state=ComponentState.BUILDING
    ).distinct()
    stopped = _each(stopping.values_list("pk", flat=True), _stop_components, "stopped")
    return {"forgotten": forgotten} | stopped


def open_builds() -> dict[str, int]:
    """Ask the build system about all that builds, and record what it says."""
    rows = ComponentBuild.objects.filter(state=ComponentState.BUILDING).exclude(task_id=None).order_by("pk")
    result: Counter[str] = Counter(open=0, builds=0)
    after = 0
    while part := list(rows.filter(pk__gt=after).only(*_KNOWN)[:CHUNK]):
        after = part[-1].pk
        result["open"] += len(part)
        result += Counter(_poll({component.task_id or 0: component for component in part}))
    if result["open"]:
        outages.over()
    return {"open": 0, "builds": 0, **result}


def _poll(submissions: Mapping[int, ComponentBuild]) -> dict[str, int]:
    """Ask about some submissions, by their numbers; record what is not known yet."""
    system, numbers = build_system(), list(submissions)
    system.recover(numbers)
    by_build: dict[int, list[TaskStatus]] = defaultdict(list)
    for status in system.statuses(numbers):
        component = submissions[status.task_id]
        if _tells_something(status, component):
            by_build[component.module_build_id].append(status)

    def record(build: ModuleBuild) -> None:
        statuses = doubles.checked(build, by_build[build.pk])
        ids = [submissions[status.task_id].pk for status in statuses]
        components.record(build, ids, statuses)

    # Most of a long list is open and as it was: it costs nothing more.
    news = ModuleBuild.objects.defer("modulemd").filter(pk__in=by_build)
    return _each(news, record, "builds")


def _tells_something(status: TaskStatus, component: ComponentBuild) -> bool:
    """Return whether a status says more than what is recorded of a component that builds."""
    started = component.time_started.timestamp() if component.time_started else None
    return (
        status.state is not TaskState.OPEN
        or bool(status.url and status.url != component.task_url)
        or bool(status.nvr and status.nvr != component.nvr)
        # Microseconds are all that a database keeps.
        or bool(status.started and (started is None or abs(status.started - started) > 0.001))
    )


def open_repos() -> dict[str, int]:
    """Have those that wait for a tag or a repository look again: of failures nobody sends word.

    Repositories that are being regenerated are asked about together, and not each by who waits for it.
    """
    # What was woken looks again anyway, or is woken again by another sweep.
    waits = Wait.objects.filter(woken_at=None).select_related("module_build").defer("module_build__modulemd")
    tags, repos = (list(waits.filter(key__startswith=f"{kind}:")) for kind in ("tag", "repo"))
    requests = {wait.module_build.new_repo_task_id for wait in repos} - {None}
    under_way = build_system().repos_under_way(sorted(requests)) if requests else set()
    if requests:
        outages.over()
    due = [wait for wait in repos if wait.module_build.new_repo_task_id not in under_way]
    return _each(tags + due, _wake, "woken")


def publish_outbox() -> dict[str, int]:
    """Publish what the bus has not confirmed."""
    result = _each(outbox.pending_builds(), outbox.flush, "builds")
    result["waiting"] = outbox.unconfirmed().count()
    if aside := outbox.set_aside().count():
        result["set_aside"] = aside
    return result


def lost_tags() -> dict[str, int]:
    """Compare the build system's tags with what was built, for half an interval at the most.

    The next run goes on behind the build that this one came to (``after``).
    """
    ends = time.monotonic() + settings.MBS.POLLING_INTERVAL / 2
    last = Sweep.objects.filter(name="lost_tags").values_list("result", flat=True).first() or {}
    after, result = last.get("after", 0), Counter[str]()
    while True:
        builds = list(cleanup.building().filter(pk__gt=after)[:SLICE])
        result["builds"] += len(builds)
        result += Counter(_each(cleanup.untagged(builds), cleanup.mend_tags, "mended"))
        after = builds[-1].pk if len(builds) == SLICE else 0
        if not after or time.monotonic() >= ends:
            return {"builds": 0, **result, "after": after}


def old_targets() -> dict[str, int]:
    """Remove what only building needed, some time after the end, and retired builds from repositories."""
    tags = cleanup.ended_long_ago()
    if tags:
        cleanup.retire(tags)
    return {"retired": len(tags), **_each(cleanup.in_repositories(), cleanup.withdraw, "withdrawn")}


def old_failures() -> dict[str, int]:
    """Builds that failed long ago become garbage."""
    return _each(cleanup.failed_long_ago(), cleanup.discard, "discarded")


def stuck_builds() -> dict[str, int]:
    """Builds in which nothing happens any more fail, saying where."""
    return _each(cleanup.stuck(), cleanup.give_up, "failed_as_stuck")


def clean_up() -> dict[str, int]:
    """Forget messages that were published, and crashes, some time ago."""
    before = clock.now() - KEEP
    messages = _delete(OutboxMessage.objects.filter(published_at__lt=before))
    crashes = _delete(TaskCrash.objects.filter(last_at__lt=before))
    return {"messages": messages, "crashes": crashes}


def _delete(rows: QuerySet[Any]) -> int:
    """Delete rows in slices: one statement for a year of them would take longer than a statement may."""
    count = 0
    while part := list(rows.order_by("pk").values_list("pk", flat=True)[:SLICE_DELETED]):
        count += rows.model._default_manager.filter(pk__in=part).delete()[0]
    return count


#: every periodic sweep, by the name that ``celeryconfig.beat_schedule`` and the admin show
SWEEPS: dict[str, Callable[[], dict[str, int]]] = {
    "lost_work": lost_work,
    "stuck_waits": stuck_waits,
    "open_builds": open_builds,
    "open_repos": open_repos,
    "outbox": publish_outbox,
    "lost_tags": lost_tags,
    "old_targets": old_targets,
    "old_failures": old_failures,
    "stuck_builds": stuck_builds,
    "clean_up": clean_up,
}


def run(name: str, every: float = 0) -> bool:
    """Run a sweep unless one of its kind runs already; its result is kept in its row.

    :param every: seconds between two runs. One that began less than half of that ago is enough: what has
        waited in a queue comes all at once. Messages that expire would do the same by the clocks of two
        machines, and where these differ no sweep would run at all.
    :return: whether it ran.
    """
    Sweep.objects.get_or_create(name=name)
    lease, now = Lease(Sweep.objects.filter(name=name), "leased_until", name), clock.now()
    due = Q(started_at=None) | Q(started_at__lt=now - timedelta(seconds=every / 2))
    # A time that is yet to come was written by a clock that was wrong.
    due |= Q(started_at__gt=now + timedelta(seconds=1))
    if not lease.take(due if every else None, started_at=now):
        return False
    result, error = {}, ""
    try:
        with lease:
            result = SWEEPS[name]()
    except Unavailable as outage:
        # No trace: it comes back with each run until the outage is over.
        error = str(outage)
        log.warning("The sweep %s waits for the end of an outage: %s", name, outage)
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


def _wake(wait: Wait) -> None:
    dispatch.wake_waits([wait])


def _each(items: Iterable[T], work: Callable[[T], object], done: str) -> dict[str, int]:
    """Do ``work`` for each item; how many were done, and how many failed."""
    count = failed = 0
    for item in list(items):
        try:
            with log_context.about(**_facts(item)):
                work(item)
            count += 1
        except (SoftTimeLimitExceeded, Unavailable):
            # What is away for one item is away for the others.
            raise
        except Exception:
            failed += 1
            with log_context.about(**_facts(item)):
                log.exception("The sweep failed for %s", item)
    return {done: count} | ({"failed": failed} if failed else {})


def _facts(item: object) -> dict[str, object]:
    """What a sweep works on, for the log: a build, its number, or a wait."""
    match item:
        case ModuleBuild():
            return log_context.of(item)
        case Wait():
            return log_context.of_number(item.module_build_id)
        case int():
            return log_context.of_number(item)
    return {}
