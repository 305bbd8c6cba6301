"""The data of the admin's start page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.conf import settings

from builds.admin.advice import what_to_do
from builds.models import Sweep, Wait, clock
from builds.selectors import overview as selectors
from builds.selectors import slots
from builds.web.load_plots import Curve, HourPlot, curve, hour_plot
from builds.web.time_format import Moment, duration, moment

#: Intervals without a run after which a sweep is late, and without an answer after which a worker is missing.
_LATE_AFTER = 3
#: Owners on the page.
_MAX_OWNERS = 12


@dataclass(frozen=True)
class ShownWait:
    """A wait, how long it lasts, and what can be done about it."""

    wait: Wait
    lasts: str
    advice: str


@dataclass(frozen=True)
class ShownSweep:
    """A sweep and its last run.

    Attributes:
        name: Its name.
        every: Its interval.
        started: Start of the last run; None if it has never run.
        took: Duration of the last run; empty while it runs.
        state: ``ok``, ``late`` or ``failed``.
        error: Why the last run failed.
    """

    name: str
    every: str
    started: Moment | None
    took: str
    state: str
    error: str


@dataclass(frozen=True)
class Worker:
    """A worker that was seen during the last day.

    Attributes:
        missing: Whether it did not answer when workers were last asked.
    """

    name: str
    queues: Sequence[str]
    seen: Moment
    missing: bool


def overview() -> dict[str, Any]:
    """Return the variables of the template ``builds/overview.html``."""
    now = clock.now()
    rows, hours = selectors.sweeps(), selectors.hours(now)
    workers = list(_workers(rows.get("samples"), now))
    ready, failed = (sum(getattr(hour, kind) for hour in hours) for kind in ("ready", "failed"))
    outbox = selectors.outbox()
    return {
        "states": [(state.word, int(state), count) for state, count in selectors.builds_by_state().items()],
        **_slots(),
        "waits": [
            ShownWait(wait, duration(now - wait.created_at), what_to_do(wait))
            for wait in selectors.oldest_waits()
        ],
        "sweeps": list(_sweeps(rows, now)),
        "workers": workers,
        "unserved": _unserved(workers),
        "build_system": _build_system(rows.get("build_system")),
        "outbox": outbox,
        "outbox_age": duration(now - outbox.oldest) if outbox.oldest else "",
        "ended": ready + failed,
        "failed": failed,
        "failure_rate": round(100 * failed / (ready + failed)) if ready + failed else 0,
        "actions": [(entry, moment(entry.time, now)) for entry in selectors.latest_actions()],
        **_plots(hours, now),
    }


def _slots() -> dict[str, Any]:
    loads, total = slots.loads(), settings.MBS.NUM_CONCURRENT_BUILDS
    used = sum(load.building for load in loads)
    return {
        "loads": loads[:_MAX_OWNERS],
        "more_owners": max(0, len(loads) - _MAX_OWNERS),
        "slots": total,
        "used": used,
        "free": max(0, total - used),
        "waiting": sum(load.waiting for load in loads),
    }


def _plots(hours: Sequence[selectors.Hour], now: datetime) -> dict[str, HourPlot | Curve | str | None]:
    samples = selectors.samples(now)
    building = [(time, float(count)) for time, count, _, _ in samples]
    waiting = [(time, float(count)) for time, _, count, _ in samples]
    top = max((number for _, number in building + waiting), default=0.0)
    waits = curve([(time, seconds) for time, _, _, seconds in samples], now)
    return {
        "hour_plot": hour_plot(hours),
        "building_curve": curve(building, now, top),
        "waiting_curve": curve(waiting, now, top),
        "wait_curve": waits,
        "longest_wait": duration(timedelta(seconds=waits.most)) if waits else "",
        "begin": f"{now - selectors.PERIOD:%H:%M}",
        "end": f"{now:%H:%M} UTC",
    }


def _sweeps(rows: Mapping[str, Sweep], now: datetime) -> Iterator[ShownSweep]:
    for name, every in _intervals().items():
        row = rows.get(name)
        started = row.started_at if row else None
        ended = row.finished_at if row else None
        running = row is not None and row.leased_until is not None and row.leased_until > now
        late = started is None or (now - started > _LATE_AFTER * every and not running)
        error = row.error if row else ""
        yield ShownSweep(
            name,
            duration(every),
            moment(started, now),
            duration(ended - started) if started and ended and ended >= started else "",
            "failed" if error else "late" if late else "ok",
            error,
        )


def _intervals() -> dict[str, timedelta]:
    """Return the interval of each sweep, by name."""
    return {
        str(entry["task"]).removeprefix("sweep."): timedelta(seconds=entry["schedule"])
        for entry in sorted(current_app.conf.beat_schedule.values(), key=lambda entry: str(entry["task"]))
    }


def _workers(row: Sweep | None, now: datetime) -> Iterator[Worker]:
    if row is None or row.started_at is None:
        return
    late = timedelta(seconds=_LATE_AFTER * settings.MBS.POLLING_INTERVAL)
    for name, worker in row.result.get("workers", {}).items():
        seen = datetime.fromisoformat(worker["seen"])
        yield Worker(name, worker["queues"], Moment(seen, now), now - seen > late)


def _unserved(workers: Sequence[Worker]) -> list[str]:
    """Return the queues that no worker serves; none if workers were not asked yet."""
    served = {queue for worker in workers if not worker.missing for queue in worker.queues}
    needed = [queue.name for queue in current_app.conf.task_queues]
    if settings.MBS.SYSTEM != "local":
        needed.remove("builds")
    return [name for name in needed if name not in served] if workers else []


def _build_system(row: Sweep | None) -> str:
    """Return why the build system is away; empty if it answers or was not asked yet."""
    return row.error if row else ""
