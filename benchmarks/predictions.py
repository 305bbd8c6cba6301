"""Measure the errors of predicted build times, with simulated builds, real workers and few slots.

    python -m benchmarks.predictions [--modules 12] [--components 8] [--batches 2] [--slots 4]
                                     [--seconds 4] [--error 0.3] [--seed 1] [--history 12]

PostgreSQL and Redis are started for the run. Components take between 0.5 and 1.5 times ``--seconds``.
Their expected durations differ from that by a random factor with the spread ``--error``. In the first round,
the service learns durations and errors from ``--history`` modules. In the second round, each build is
predicted once a second, and the errors are measured again every minute. The rows are parts of the time from
the first prediction to the end. The columns are the median and the 90th percentile of the error in seconds,
the median as a fraction of the remaining time, how much later than predicted the builds were ready (median,
negative if earlier), the median of the predicted spread, in seconds and as a fraction of the remaining time,
and the coverage: how often the build was ready within the spread. 80 % is ideal. Below are the parts of the
error: the time between two batches, at the end of a build, and how long a slot stays free while components
wait for it. On a busy machine, these grow during a run, which no prediction knows.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles

from mbs.text import natural
from tests import postgresql
from tests.processes import Redis, Worker

#: Parts of the time of a build, by which errors are told apart.
_PARTS = 4
_ALL = "all"
#: Seconds between two predictions, and between two measurements of errors.
_AGAIN, _MEASURED_EVERY = 1.0, 60.0


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modules", type=int, default=12)
    parser.add_argument("--components", type=int, default=8)
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--error", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--history", type=int, default=12)
    options = parser.parse_args()
    random.seed(options.seed)
    with postgresql.server() as database, Redis() as redis, tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "MBS_CONFIG_FILE": "",
            "MBS_CONFIG_SECTION": "test",
            "MBS_DATABASE_URL": database,
            "MBS_BROKER_URL": redis.url,
            "MBS_DATA_DIR": folder,
            "MBS_MESSAGING": "log",
            "MBS_NUM_CONCURRENT_BUILDS": str(options.slots),
            "MBS_SIMULATED_REPO_SECONDS": "1",
            "MBS_SWEEP_INTERVAL": "30",
            "MBS_LOST_AFTER": "60",
            "MBS_LOG_LEVEL": "warning",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        _set_up()
        worker = Worker({}, Path(folder) / "worker.log", concurrency=2, prefetch=4)
        try:
            worker.wait_until_ready()
            _round(options, options.history)
            told, ended = _round(options, options.modules)
            rest = causes()
        finally:
            worker.stop()
    print(f"{options.modules} modules of {options.components} components, {options.slots} slots")
    for line in (*report(told, ended), *rest):
        print(line)


#: number of a build -> (when it was predicted, when it was to be ready, seconds of spread)
Told = dict[int, list[tuple[datetime, datetime, float]]]


def report(told: Told, ended: dict[int, datetime]) -> list[str]:
    """Return a line for each part of the time of builds."""
    parts: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for number, predictions in told.items():
        begun, end = predictions[0][0], ended[number]
        for moment, ready, spread in predictions:
            left = (end - moment).total_seconds()
            if left <= 0:
                continue
            late = (end - ready).total_seconds()
            part = int(_PARTS * (moment - begun) / (end - begun))
            name = f"{100 * part // _PARTS} % to {100 * (part + 1) // _PARTS} %"
            for each in (name, _ALL):
                parts[each].append((late, left, spread))
    lines = ["part of the time   median    90 %   of the time left     late   spread   of it   coverage"]
    for name, found in sorted(parts.items(), key=lambda each: (each[0] == _ALL, natural(each[0]))):
        errors = [abs(late) for late, _, _ in found]
        worst = quantiles(errors, n=10)[-1] if len(errors) > 1 else errors[0]
        fraction = median(abs(late) / left for late, left, _ in found)
        width = median(spread / left for _, left, spread in found)
        coverage = sum(abs(late) <= spread for late, _, spread in found) / len(found)
        lines.append(
            f"{name:>16} {median(errors):6.1f} s {worst:5.1f} s {fraction:18.0%}"
            f" {median(late for late, _, _ in found):6.1f} s"
            f" {median(spread for _, _, spread in found):6.1f} s {width:7.0%} {coverage:10.0%}"
        )
    return lines


def causes() -> list[str]:
    """Return the correction that was learned, and medians of the pauses of the service."""
    from builds.models import ComponentBuild, Sweep
    from builds.selectors.predictions import SWEEP, learn
    from builds.workflow import sweeps

    sweeps.run(SWEEP)
    found = Sweep.objects.get(pk=SWEEP).result
    habits = learn()
    rows = ComponentBuild.objects.filter(time_started__isnull=False, time_completed__isnull=False)
    times = rows.values_list("time_started", "time_completed")
    starts, ends = (sorted(each) for each in zip(*times, strict=True))
    free = [(start - end).total_seconds() for end in ends if (start := _after(starts, end)) is not None]
    return [
        f"correction: actual times are {found['factor']:.2f} of simulated ones,"
        f" and errors within {found['width']:.2f} of expected ones",
        f"medians: {median(habits.between):.1f} s between batches, {median(habits.finish):.1f} s at the end,"
        f" {median(free):.1f} s until another component starts",
    ]


def _after(times: Sequence[datetime], moment: datetime) -> datetime | None:
    place = bisect_right(times, moment)
    return times[place] if place < len(times) else None


def _set_up() -> None:
    import django
    from django.core.management import call_command

    import config.celery  # noqa: F401

    django.setup()
    call_command("migrate", verbosity=0)


def _make(options: argparse.Namespace, number: int) -> int:
    """Make a module whose components take different times, of which something else is expected."""
    from builds.models import ComponentBuild
    from tests.builds.workflow.modules import make_build

    size = options.components // options.batches
    takes = [
        [round(options.seconds * random.uniform(0.5, 1.5), 2) for _ in range(size)]
        for _ in range(options.batches)
    ]
    shape = [
        [f"takes-{seconds}-p{batch}-{place}" for place, seconds in enumerate(some)]
        for batch, some in enumerate(takes)
    ]
    build = make_build(*shape, owner=f"owner{number % 3}")
    rows = list(build.component_builds.all())
    for row in rows:
        row.weight = float(row.package.split("-")[1]) * max(random.gauss(1.0, options.error), 0.1)
    ComponentBuild.objects.bulk_update(rows, ["weight"])
    return build.pk


def _round(options: argparse.Namespace, modules: int) -> tuple[Told, dict[int, datetime]]:
    from django.core.cache import cache
    from django.utils import timezone

    from builds import dispatch
    from builds.models import ModuleBuild
    from builds.selectors.predictions import SWEEP, forecast
    from builds.workflow import sweeps
    from mbs.states import BuildState

    builds = [_make(options, number) for number in range(modules)]
    for build in builds:
        dispatch.advance(build)
    told: Told = defaultdict(list)
    waiting = ModuleBuild.objects.filter(pk__in=builds).exclude(state=BuildState.READY)
    measured = time.monotonic() - _MEASURED_EVERY
    while waiting.exists():
        if time.monotonic() - measured >= _MEASURED_EVERY:
            measured = time.monotonic()
            sweeps.run(SWEEP)
            cache.clear()
        now = timezone.now()
        for number, each in forecast(now).builds.items():
            told[number].append((now, each.ready, each.spread.total_seconds()))
        time.sleep(_AGAIN)
    rows = ModuleBuild.objects.filter(pk__in=builds).values_list("pk", "time_completed")
    return told, {number: end for number, end in rows if end is not None}


if __name__ == "__main__":
    main()
