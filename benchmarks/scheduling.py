"""Measure the cost of the workflow: modules whose builds take no time or some seconds, with real workers.

    python -m benchmarks.scheduling [--modules 20 200 2000] [--workers 1 2 4 8] [--seconds 0 4]
                                    [--components 20] [--batches 4] [--verbose]

The benchmark starts PostgreSQL and Redis. It prints one line per run: components per second from the first
start to the last ready, and per component: CPU time except for this program (in parentheses: the worker with
its processes, PostgreSQL, Redis), statements, Redis commands, messages, tasks, runs of ``build_component``;
then the peak memory of a worker process. Builds of 0 s are complete when they are submitted; with longer
ones, tasks are parked. At the end, it prints the time from the end of a batch to the first submission of the
next, with builds of 0.3 s.
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
from itertools import product
from pathlib import Path
from statistics import median, quantiles

from redis import StrictRedis

from benchmarks.processes import environment, stopwatch
from tests import postgresql
from tests.processes import Redis, Worker


class Options(argparse.Namespace):
    """The command line's options, and the ``build_seconds`` of the current run."""

    modules: list[int]
    workers: list[int]
    seconds: list[float]
    build_seconds: float
    components: int
    batches: int
    latency_modules: int
    verbose: bool


class Servers:
    """The servers whose cost is measured."""

    def __init__(self, redis: Redis) -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SHOW data_directory")
            data = Path(cursor.fetchone()[0])
        postmaster = int((data / "postmaster.pid").read_text().split()[0])
        self.pids = {"postgresql": postmaster, "redis": redis.process.pid}
        self._client = StrictRedis.from_url(redis.url)

    def redis_commands(self) -> int:
        """Return the number of commands so far, including those in scripts and transactions."""
        return int(self._client.info("stats")["total_commands_processed"])

    def redis_calls(self) -> Counter[str]:
        """Return how often each command of Redis was called so far."""
        stats = self._client.info("commandstats")
        return Counter({name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()})


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modules", type=int, nargs="*", default=[20, 200])
    parser.add_argument("--workers", type=int, nargs="*", default=[2], help="processes of the one worker")
    parser.add_argument("--seconds", type=float, nargs="*", default=[0.0, 4.0], help="of a build")
    parser.add_argument("--components", type=int, default=20)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--latency-modules", type=int, default=5)
    parser.add_argument("--verbose", action="store_true", help="what the statements and messages are")
    options = parser.parse_args(namespace=Options())
    with postgresql.server() as database, Redis() as redis, tempfile.TemporaryDirectory() as folder:
        os.environ |= environment(
            DATABASE_URL=database, BROKER_URL=redis.url, DATA_DIR=folder, NUM_CONCURRENT_BUILDS=0
        )
        _set_up()
        servers = Servers(redis)
        print(f"{options.components} components in {options.batches} batches; values are per component")
        for modules, workers, seconds in product(options.modules, options.workers, options.seconds):
            options.build_seconds = seconds
            print(throughput(Path(folder), servers, modules, workers, options), flush=True)
        if options.latency_modules:
            print(latency(Path(folder), options), flush=True)


def throughput(folder: Path, servers: Servers, modules: int, workers: int, options: Options) -> str:
    """Build modules and return a line about the cost."""
    builds = _make(modules, options.components, options.batches)
    seconds = {"SIMULATED_BUILD_SECONDS": f"{options.build_seconds:g}", "SIMULATED_REPO_SECONDS": "0"}
    with _workers(folder, workers, seconds) as (worker, counts):
        used = {name: stopwatch(pid) for name, pid in servers.pids.items()} | {"workers": stopwatch(worker)}
        commands, calls = servers.redis_commands(), servers.redis_calls()
        begun = time.perf_counter()
        _run(builds)
        lasted = time.perf_counter() - begun
        commands, calls = servers.redis_commands() - commands, servers.redis_calls() - calls
        cpu = {name: 1000 * seconds() / (modules * options.components) for name, seconds in used.items()}
    number = modules * options.components
    if options.verbose:
        counts.update({f"redis {name}": number for name, number in calls.items()})
        kinds = sorted(counts.items(), key=lambda kind: -kind[1])
        print("\n".join(f"  {value / modules:8.1f} per module  {name}" for name, value in kinds))
    per = {name: counts[name] / number for name in ("statements", "messages", "runs")}
    return (
        f"{modules:5} modules  {workers} workers  builds of {options.build_seconds:g} s"
        f"  {number / lasted:6.1f} components/s  {lasted:6.1f} s"
        f"  | {sum(cpu.values()):5.1f} ms CPU ({cpu['workers']:.1f} + {cpu['postgresql']:.1f}"
        f" + {cpu['redis']:.1f})  {per['statements']:5.1f} SQL  {commands / number:5.1f} Redis"
        f"  {per['messages']:4.2f} messages  {per['runs']:4.2f} tasks"
        f"  {counts['run workflow.build_component'] / number:4.2f} build_component"
        f"  | {counts['peak_kib'] / 1024:4.0f} MiB"
    )


def latency(folder: Path, options: Options) -> str:
    """Return a line about the time from the end of a batch to the first submission of the next."""
    from builds.models import ComponentBuildTrace, ModuleBuild

    builds = _make(options.latency_modules, options.components, options.batches)
    brief = {"SIMULATED_BUILD_SECONDS": "0.3", "SIMULATED_REPO_SECONDS": "0"}
    with _workers(folder, options.workers[0], brief):
        for build in builds:
            _run([build])
    delays = []
    for built in ModuleBuild.objects.filter(pk__in=builds):
        for batch in range(1, options.batches):
            times = built.component_builds.filter(batch=batch).values_list("time_completed", flat=True)
            ended = max(filter(None, times))
            submitted = min(
                ComponentBuildTrace.objects.filter(
                    component_build__module_build=built, component_build__batch=batch + 1, state=0
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

    import config.celery  # noqa: F401  (tasks are sent through it)

    django.setup()
    call_command("migrate", verbosity=0)


def _make(modules: int, components: int, batches: int) -> list[int]:
    from tests.builds.workflow.modules import make_build

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
        if failed := waiting.filter(state=BuildState.FAILED).first():
            sys.exit(f"failed: {failed.state_reason}")
        # Queries have a cost too, so they are infrequent.
        time.sleep(0.25)


@contextmanager
def _workers(folder: Path, number: int, environ: dict[str, str]) -> Iterator[tuple[int, Counter[str]]]:
    """Run a worker with some processes; yield its id, and counts that are filled after the block."""
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
            yield worker.process.pid, counts
        finally:
            worker.stop()
        for report in Path(reports).glob("*.json"):
            figures = json.loads(report.read_text())
            peak = max(counts["peak_kib"], figures.pop("peak_kib"))
            counts.update(figures)
            counts["peak_kib"] = peak


if __name__ == "__main__":
    main()
