"""Measure the errors of predictions for recent builds, so that new predictions can be corrected.

The rows of components record when each one waited, built and ended. So the builds of the past are predicted
from the rows as they were at some moments, and compared with their actual ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from django.conf import settings
from django.db.models import Min, Q

from builds.models import ComponentBuild, ModuleBuild
from builds.selectors.predictions import SEARCHED, Habits, component_task, learn, recently_ready
from mbs.correction import Correction, Past, correction
from mbs.prediction import Build, Pace, predict, runs_for
from mbs.states import ComponentState

#: Moments at which each build is predicted, as parts of its time.
MOMENTS = (0.1, 0.3, 0.5, 0.7, 0.9)
#: Max components that are read, and max simulated components in total: about a second.
MAX_READ, MAX_STEPS = 20_000, 120_000


@dataclass(frozen=True)
class _Row:
    id: int
    build_id: int
    owner: str
    submitted: datetime
    completed: datetime | None
    package: str
    batch: int
    weight: float
    after: Sequence[str] | None
    started: datetime | None
    ended: datetime | None


_COLUMNS = (
    *("pk", "module_build_id", "module_build__owner", "module_build__time_submitted"),
    *("module_build__time_completed", "package", "batch", "weight", "build_after"),
    *("time_started", "time_completed"),
)


def measure() -> Correction:
    """Compare predictions for recent builds with their actual ends; return the correction for new ones."""
    habits = learn()
    return correction(list(_errors(habits)))


def _errors(habits: Habits) -> Iterator[Past]:
    ended = {number: time for number, time in recently_ready().items() if time is not None}
    rows = _rows(ended)
    pace = Pace(settings.MBS.NUM_CONCURRENT_BUILDS, habits.between, habits.finish)
    steps = 0
    for part in MOMENTS:
        for number, end in ended.items():
            begun = min((row.started for row in rows.get(number, ()) if row.started), default=end)
            moment = begun + part * (end - begun)
            builds = [
                build for some in rows.values() if (build := _build_at(moment, some, habits)) is not None
            ]
            tasks = sum(len(build.tasks) for build in builds)
            steps += tasks * runs_for(tasks)
            if steps > MAX_STEPS:
                return
            found = predict(builds, pace).ready.get(number)
            if found is not None and begun < end:
                yield Past(found, (end - moment).total_seconds())


def _rows(ended: Mapping[int, datetime]) -> dict[int, list[_Row]]:
    """Return the components of these builds, and of others that were active at the same time, by build."""
    begin = ComponentBuild.objects.filter(module_build__in=ended).aggregate(begin=Min("time_started"))[
        "begin"
    ]
    if begin is None:
        return {}
    newest = ModuleBuild.objects.order_by("-pk").values_list("pk", "time_submitted", "time_completed")
    numbers = {
        number
        for number, submitted, completed in newest[:SEARCHED]
        if submitted < max(ended.values()) and (completed is None or completed > begin)
    }
    built = Q(time_started__isnull=False) | Q(state__isnull=True)
    rows = ComponentBuild.objects.filter(
        built, module_build__in=numbers | ended.keys(), reused_component=None
    )
    read = [_Row(*row) for row in rows.order_by("-module_build_id", "pk").values_list(*_COLUMNS)[:MAX_READ]]
    if len(read) == MAX_READ:
        read = [row for row in read if row.build_id != read[-1].build_id]
    return {number: list(some) for number, some in groupby(read, key=lambda row: row.build_id)}


def _build_at(moment: datetime, rows: Sequence[_Row], habits: Habits) -> Build | None:
    """Return a build as it was at a moment; None if it was not active."""
    first = rows[0]
    if not first.submitted <= moment < (first.completed or moment + timedelta(seconds=1)):
        return None
    open_ = [row for row in rows if row.ended is None or row.ended > moment]
    started = [row.batch for row in rows if row.started is not None and row.started <= moment]
    tasks = [
        component_task(
            (row.id, row.package, row.batch, row.weight, _state_at(moment, row), row.started, row.after),
            habits,
            moment,
        )
        for row in open_
    ]
    return Build(first.build_id, first.owner, max(started or [min(row.batch for row in rows)]), tasks)


def _state_at(moment: datetime, row: _Row) -> ComponentState | None:
    return ComponentState.BUILDING if row.started is not None and row.started <= moment else None
