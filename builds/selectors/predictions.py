"""Predict when active builds will be ready, by simulating the slots (``mbs.prediction``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from math import exp
from statistics import NormalDist, median
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import FilteredRelation, Q

from builds.models import ComponentBuild, ModuleBuild, Phase, Sweep
from builds.selectors.forecasts import (
    MAX_PREPARED,
    MAX_SIMULATED,
    Expected,
    Forecast,
    Waiting,
    loaded,
    stored,
)
from builds.selectors.slots import SUBMITTING, Load, by_owner
from mbs.correction import Correction
from mbs.prediction import MAX_STEPS, Build, Duration, Pace, Prediction, Task, places, predict
from mbs.states import ACTIVE, BuildState, ComponentState

#: Components of the queue that are listed.
MAX_NEXT = 10
#: The sweep whose result contains the correction of predictions, and the one that predicts many components.
SWEEP, FORECAST = "predictions", "forecast"
#: Max components in all simulations of that sweep together: 2 s.
_STEPS = 100_000
#: Number of recent ready builds that durations are learned from, and seconds until they are read again.
_RECENT, _KEPT = 20, 60
#: Min number of measured ratios, and of measured pauses, to do without assumed ones.
_ENOUGH, _ENOUGH_PAUSES = 10, 3
#: Max measured values to keep of each kind.
_MOST = 200
#: Pauses that are assumed at first, in seconds.
_ASSUMED_PAUSES = (1.0, 2.0, 5.0, 10.0, 15.0)
#: Assumed ratios of the actual to the expected duration: lognormal, with a deviation of 30 %.
_ASSUMED_RATIOS = tuple(exp(0.3 * NormalDist().inv_cdf((place + 0.5) / 20)) for place in range(20))
#: The same for a package that was never built, with a deviation of 100 %.
_ASSUMED_UNKNOWN = tuple(exp(NormalDist().inv_cdf((place + 0.5) / 20)) for place in range(20))
#: Max builds to look at for these: imported builds have no batches, and a service may have only such.
SEARCHED = 500
_FAILED = (ComponentState.FAILED, ComponentState.CANCELED)


@dataclass(frozen=True)
class Habits:
    """Durations learned from the builds that became ready most recently.

    Attributes:
        between: Seconds from the last end of a batch to the first start of the next, as they were measured.
        finish: Seconds from the end of the last component to the end of the build, as they were measured.
        ratios: Ratios of actual durations of components to the expected ones.
        typical: Expected seconds of a component that was never built.
        unknown: Ratios of actual durations of all components to ``typical``.
        correction: The measured errors of predictions (``builds.selectors.prediction_errors``).
        learned: Whether any of these were measured. Otherwise all are assumed.
    """

    between: Sequence[float] = _ASSUMED_PAUSES
    finish: Sequence[float] = _ASSUMED_PAUSES
    ratios: Sequence[float] = _ASSUMED_RATIOS
    typical: float = 60.0
    unknown: Sequence[float] = _ASSUMED_UNKNOWN
    correction: Correction = field(default_factory=Correction)
    learned: bool = False


_COLUMNS = (
    *("pk", "owner", "state", "phase", "batch"),
    *("open__pk", "open__package", "open__batch", "open__weight", "open__state", "open__time_started"),
    *("open__build_after", "open__blocked"),
)
_WEIGHT = _COLUMNS.index("open__weight")


def forecast(now: datetime) -> Forecast:
    """Predict the ends of all active builds, in three statements (and three more each minute).

    If that would take too long, return the prediction that the sweep ``forecast`` has stored. A new service,
    of whose components no duration is known, predicts nothing: only the queue is in order.
    """
    rows = _few()
    if rows is None:
        result = Sweep.objects.filter(pk=FORECAST).values_list("result", flat=True).first()
        return loaded(result or {}, now, settings.MBS.NUM_CONCURRENT_BUILDS)
    return _simulated(rows, now)


def prepare(now: datetime) -> dict[str, Any]:
    """Predict the ends of all active builds if these are too many for a page; return the forecast as JSON."""
    if _few() is not None:
        return {}
    rows = list(_under_way()[: MAX_PREPARED + 1])
    return stored(_simulated(rows, now, _STEPS)) if len(rows) <= MAX_PREPARED else {}


def _few() -> list[Sequence[Any]] | None:
    """Return the rows of active builds; None if there are too many to simulate them for a page."""
    # Each active build has at least one row, and its index answers this much faster.
    if ModuleBuild.objects.filter(state__in=ACTIVE)[: MAX_SIMULATED + 1].count() > MAX_SIMULATED:
        return None
    rows = list(_under_way()[: MAX_SIMULATED + 1])
    return rows if len(rows) <= MAX_SIMULATED else None


def _simulated(rows: Sequence[Sequence[Any]], now: datetime, steps: int = MAX_STEPS) -> Forecast:
    habits = _habits()
    builds = [*_builds(rows, habits, now), *_stopping(habits, now)]
    pace = Pace(settings.MBS.NUM_CONCURRENT_BUILDS, habits.between, habits.finish)
    found = habits.correction.applied(predict(builds, pace, steps=steps))
    waiting = [row[5] for row in rows if _waits(row)]
    order = places(found, waiting)
    firsts = _firsts(rows, order)
    if not (habits.learned or any(row[_WEIGHT] for row in rows)):
        found = Prediction()
    return Forecast(
        now,
        pace.slots,
        loads=_loads(rows, builds),
        builds={
            number: Expected(
                now + timedelta(seconds=ready.seconds),
                timedelta(seconds=ready.spread),
                firsts.get(number),
                len(waiting),
            )
            for number, ready in found.ready.items()
        },
        components=_times(found, now),
        queue=_queue(rows, order, found, now),
    )


def _under_way() -> Any:
    """Return active builds, one row for each incomplete component, or one row without a component."""
    unfinished = Q(component_builds__state=None) | Q(
        component_builds__state__in=(ComponentState.BUILDING, *_FAILED)
    )
    rows = ModuleBuild.objects.filter(state__in=ACTIVE).annotate(
        open=FilteredRelation("component_builds", condition=unfinished)
    )
    return rows.order_by("pk").values_list(*_COLUMNS)


def _builds(rows: Iterable[Sequence[Any]], habits: Habits, now: datetime) -> Iterator[Build]:
    for (number, owner, state, phase, batch), some in groupby(rows, key=lambda row: row[:5]):
        parts = [row[5:] for row in some if row[5] is not None]
        if not parts and (state != BuildState.BUILD or phase != Phase.FINALIZING):
            continue  # its components are not known yet
        fails = any(part[4] in _FAILED for part in parts)
        tasks = [component_task(part[:-1], habits, now) for part in parts if part[4] not in _FAILED]
        yield Build(number, owner, batch, tasks, fails)


def _stopping(habits: Habits, now: datetime) -> Iterator[Build]:
    """Yield components that still build, and hold slots, although their builds have ended."""
    rows = ComponentBuild.objects.filter(state=ComponentState.BUILDING).exclude(
        module_build__state__in=ACTIVE
    )
    columns = ("pk", "package", "batch", "weight", "state", "time_started", "build_after")
    for number, owner, *part in rows.values_list("module_build_id", "module_build__owner", *columns)[
        :MAX_SIMULATED
    ]:
        yield Build(-number, owner, 0, [component_task(part, habits, now)], fails=True)


def component_task(part: Sequence[Any], habits: Habits, now: datetime) -> Task:
    """Return a component as a task of the simulation.

    Args:
        part: Id, package, batch, expected seconds, state, start, and packages to build before it.
        habits: The durations learned.
        now: The time of the prediction.
    """
    number, package, batch, weight, state, started, after = part
    duration = Duration(weight, habits.ratios) if weight else Duration(habits.typical, habits.unknown)
    building = None
    if state == ComponentState.BUILDING:
        building = max((now - started).total_seconds(), 0.0) if started else 0.0
    return Task(number, package, batch, duration, building, frozenset(after or ()))


def _waits(row: Sequence[Any]) -> bool:
    """Return whether a component waits only for a slot, by the rule of ``builds.services.slots``."""
    _, _, state, phase, batch, number, _, own_batch, _, own_state, _, _, blocked = row
    ready = state == BuildState.BUILD and phase in SUBMITTING and own_batch == batch
    return bool(ready and number is not None and own_state is None and not blocked)


def _firsts(rows: Iterable[Sequence[Any]], order: Mapping[int, int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for row in rows:
        if row[5] in order:
            found[row[0]] = min(found.get(row[0], len(order)), order[row[5]])
    return found


def _queue(
    rows: Iterable[Sequence[Any]], order: Mapping[int, int], found: Prediction, now: datetime
) -> list[Waiting]:
    listed = []
    for row in rows:
        build_id, owner, number, package = row[0], row[1], row[5], row[6]
        if order.get(number, MAX_NEXT + 1) <= MAX_NEXT:
            seconds = found.starts.get(number)
            start = None if seconds is None else now + timedelta(seconds=seconds)
            listed.append(Waiting(order[number], package, build_id, owner, start))
    return sorted(listed, key=lambda each: each.place)


def _loads(rows: Iterable[Sequence[Any]], builds: Iterable[Build]) -> list[Load]:
    waiting = Counter(row[1] for row in rows if _waits(row))
    building = Counter(build.owner for build in builds for task in build.tasks if task.building is not None)
    return by_owner(building, waiting)


def _times(found: Prediction, now: datetime) -> dict[int, tuple[datetime, datetime]]:
    return {
        number: (
            now + timedelta(seconds=found.starts.get(number, 0.0)),
            now + timedelta(seconds=end),
        )
        for number, end in found.ends.items()
    }


def _habits() -> Habits:
    habits: Habits | None = cache.get("predictions:measured")
    if habits is None:
        row = Sweep.objects.filter(pk=SWEEP).values_list("result", flat=True).first()
        habits = replace(learn(), correction=_stored(row or {}))
        cache.set("predictions:measured", habits, _KEPT)
    return habits


def _stored(result: Mapping[str, Any]) -> Correction:
    known = Correction()
    return Correction(result.get("factor", known.factor), result.get("width", known.width))


def learn() -> Habits:
    """Return the durations of the builds that became ready most recently; defaults if there are none."""
    ended = recently_ready()
    rows = ComponentBuild.objects.filter(
        module_build__in=ended,
        state=ComponentState.COMPLETE,
        reused_component=None,
        time_started__isnull=False,
        time_completed__isnull=False,
    )
    columns = ("module_build_id", "batch", "time_started", "time_completed", "weight")
    parts = list(rows.order_by("module_build_id", "batch").values_list(*columns))
    took = [((end - start).total_seconds(), weight) for _, _, start, end, weight in parts]
    typical = median([seconds for seconds, _ in took]) if took else 0.0
    assumed = Habits()
    return Habits(
        between=_measured(_gaps(parts), assumed.between, _ENOUGH_PAUSES),
        finish=_measured(_ends(parts, ended), assumed.finish, _ENOUGH_PAUSES),
        ratios=_measured((seconds / weight for seconds, weight in took if weight), assumed.ratios),
        typical=typical or assumed.typical,
        unknown=_measured((seconds / typical for seconds, _ in took if typical), assumed.unknown),
        learned=bool(took),
    )


def recently_ready() -> dict[int, datetime | None]:
    """Return the builds that became ready most recently, with the times."""
    ready = ModuleBuild.objects.filter(state=BuildState.READY).order_by("-pk")
    newest = ready.values_list("pk", "time_completed", "batches")[:SEARCHED]
    return dict([(number, time) for number, time, batches in newest if batches][:_RECENT])


def _gaps(parts: Iterable[Sequence[Any]]) -> Iterator[float]:
    """Yield the seconds between each two batches of a build."""
    for _, of_build in groupby(parts, key=lambda part: part[0]):
        batches = [list(batch) for _, batch in groupby(of_build, key=lambda part: part[1])]
        for earlier, later in pairwise(batches):
            yield (min(part[2] for part in later) - max(part[3] for part in earlier)).total_seconds()


def _ends(parts: Iterable[Sequence[Any]], ended: Mapping[int, datetime | None]) -> Iterator[float]:
    """Yield the seconds from the end of the last component of a build to its end."""
    for number, of_build in groupby(parts, key=lambda part: part[0]):
        end = ended[number]
        if end is not None:
            yield (end - max(part[3] for part in of_build)).total_seconds()


def _measured(values: Iterable[float], assumed: Sequence[float], enough: int = _ENOUGH) -> tuple[float, ...]:
    """Return values in ascending order without the extremes; with the assumed ones if there are only few."""
    found = sorted(max(value, 0.0) for value in values)
    # One of 24 components that took ten times as long made predictions too late by half of the time left.
    extremes = len(found) // 20
    found = found[extremes : len(found) - extremes]
    if len(found) < enough:
        found = sorted([*found, *assumed])
    step = max(len(found) / _MOST, 1.0)
    return tuple(found[int((place + 0.5) * step)] for place in range(int(len(found) / step)))
