"""What the workflow costs: modules with builds that take no time, through real workers.

    python -m benchmarks.scheduling [--modules 200] [--components 20] [--batches 4] [--workers 2]

PostgreSQL and Redis are started for the run. Prints one line per run: components per second from the
first start to the last ready, statements and messages per component, CPU, peak memory of a worker; and
the time from the end of a batch to the first submission of the next, measured with builds of 0.3 s.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from tests import postgresql
from tests.processes import Worker, redis_server

FAST = {"SIMULATED_BUILD_SECONDS": "0", "SIMULATED_REPO_SECONDS": "0"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modules", type=int, nargs="*", default=[20, 200])
    parser.add_argument("--components", type=int, default=20)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--latency-modules", type=int, default=5)
    parser.add_argument("--verbose", action="store_true", help="what the statements and messages are")
    options = parser.parse_args()
    with postgresql.server() as database, redis_server() as broker, tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "MBS_CONFIG_FILE": "",
            "MBS_CONFIG_SECTION": "test",
            "MBS_DATABASE_URL": database,
            "MBS_BROKER_URL": broker,
            "MBS_DATA_DIR": folder,
            "MBS_MESSAGING": "log",
            "MBS_NUM_CONCURRENT_BUILDS": "0",
            "MBS_SWEEP_INTERVAL": "30",
            "MBS_LOST_AFTER": "60",
            "MBS_LOG_LEVEL": "warning",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        _set_up()
        print(f"{options.components} components in {options.batches} batches, {options.workers} workers")
        for modules in options.modules:
            print(throughput(Path(folder), modules, options), flush=True)
        print(latency(Path(folder), options), flush=True)


def throughput(folder: Path, modules: int, options: argparse.Namespace) -> str:
    """Modules whose builds are complete when they are submitted, from start to ready."""
    builds = _make(modules, options.components, options.batches)
    with _workers(folder, options.workers, FAST) as counts:
        begun = time.perf_counter()
        _run(builds)
        seconds = time.perf_counter() - begun
    number = modules * options.components
    if options.verbose:
        kinds = sorted(counts.items(), key=lambda kind: -kind[1])
        print("\n".join(f"  {value / modules:8.1f} per module  {name}" for name, value in kinds))
    return (
        f"{modules:5} modules  {number / seconds:7.1f} components/s  {seconds:7.1f} s  "
        f"{counts['statements'] / number:5.2f} SQL/component  "
        f"{counts['messages'] / number:5.2f} messages/component  "
        f"{1000 * counts['cpu_s'] / number:5.1f} ms CPU/component  {counts['peak_kib'] / 1024:5.0f} MiB peak"
    )


def latency(folder: Path, options: argparse.Namespace) -> str:
    """From the end of the last build of a batch to the first submission of the next."""
    from builds.models import ComponentBuildTrace, ModuleBuild

    builds = _make(options.latency_modules, options.components, options.batches)
    with _workers(folder, options.workers, {"SIMULATED_BUILD_SECONDS": "0.3", "SIMULATED_REPO_SECONDS": "0"}):
        for build in builds:
            _run([build])
    delays = []
    for build in ModuleBuild.objects.filter(pk__in=builds):
        for batch in range(1, options.batches):
            ended = max(build.component_builds.filter(batch=batch).values_list("time_completed", flat=True))
            submitted = min(
                ComponentBuildTrace.objects.filter(
                    component_build__module_build=build, component_build__batch=batch + 1, state=0
                ).values_list("time", flat=True)
            )
            delays.append(1000 * (submitted - ended).total_seconds())
    return (
        f"batch ended to next batch submitted: median {median(delays):.0f} ms, "
        f"95 % {quantiles(delays, n=20)[-1]:.0f} ms ({len(delays)} measured)"
    )


def _set_up() -> None:
    import django
    from django.core.management import call_command

    import config.celery  # noqa: F401

    django.setup()
    call_command("migrate", verbosity=0)


def _make(modules: int, components: int, batches: int) -> list[int]:
    from tests.workflow.modules import make_build

    size = components // batches
    shape = [[f"package{batch}-{number}" for number in range(size)] for batch in range(batches)]
    return [make_build(*shape, owner=f"owner{number % 7}").pk for number in range(modules)]


def _run(builds: list[int]) -> None:
    from builds import dispatch
    from builds.models import ModuleBuild
    from mbs.states import BuildState

    for build in builds:
        dispatch.advance(build)
    waiting = ModuleBuild.objects.filter(pk__in=builds).exclude(state=BuildState.READY)
    while waiting.exists():
        if waiting.filter(state=BuildState.FAILED).exists():
            sys.exit(f"failed: {waiting.filter(state=BuildState.FAILED).first().state_reason}")
        time.sleep(0.25)  # looking costs what is measured


@contextmanager
def _workers(folder: Path, number: int, environ: dict[str, str]) -> Iterator[Counter[str]]:
    """One worker with so many processes; the counts are there when the block has ended."""
    counts = Counter[str]()
    with tempfile.TemporaryDirectory() as reports:
        worker = Worker(
            {f"MBS_{name}": value for name, value in environ.items()} | {"BENCH_COUNTS": reports},
            Path(reports) / "worker.log",
            concurrency=number,
            prefetch=4,
            app="benchmarks.counting",
        )
        try:
            worker.wait_until_ready()
            yield counts
        finally:
            worker.stop()
        for report in Path(reports).glob("*.json"):
            figures = json.loads(report.read_text())
            peak = max(counts["peak_kib"], figures.pop("peak_kib"))
            counts.update(figures)
            counts["peak_kib"] = peak


if __name__ == "__main__":
    main()
