"""Measure the cost of module builds for a Koji hub and for the service, with real workers and a fake hub.

    python -m benchmarks.koji [--components 24 100] [--batches 5] [--paced 3] [--modules 100] [--size 20]
                              [--workers 2]

The benchmark starts PostgreSQL and Redis. The messages of the fake hub go directly to the consumer's code.
It measures

1. the HTTP round trips of one module from submission to ready, without uploads and polls for repositories,
  which are counted separately;
2. with a real hub's times for builds, tags, repositories and sleeping builders, the seconds of each batch in
  which the hub did nothing for the module, which the service adds;
3. the time from the message that a build has ended to the next request to the hub, without the bus (see
  ``benchmarks.bus``);
4. many concurrent modules with builds of 0 to 2 s, and how long waits lasted after their reason ended. More
  than the interval of sweeps is an error.
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.lateness import Lateness
from benchmarks.processes import environment
from tests import postgresql
from tests.buildsys.koji.double import HubDouble
from tests.processes import Worker, redis_server

_UPLOADS = {"rawUpload", "checkUpload"}
_POLLS = {"repo.checkRequest", "repoInfo", "getTaskInfo"}
_SWEEP_INTERVAL = 30


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--components", type=int, nargs="*", default=[24, 100])
    parser.add_argument("--batches", type=int, default=5, help="besides that of the macros package")
    parser.add_argument("--paced", type=int, default=3, help="batches at a real hub's pace")
    parser.add_argument("--reactions", type=int, default=20, help="builds that are reacted to, of each kind")
    parser.add_argument("--modules", type=int, default=100)
    parser.add_argument("--size", type=int, default=20, help="components of each of many modules")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="the calls of each round trip")
    options = parser.parse_args()
    with postgresql.server() as database, redis_server() as broker, tempfile.TemporaryDirectory() as folder:
        double = HubDouble(build_seconds=4, repo_seconds=1, tag_seconds=0.5).start()
        profile = double.write_profile(Path(folder) / "koji.conf")
        os.environ |= environment(
            SYSTEM="koji",
            KOJI_CONFIG=profile,
            KOJI_PROFILE="koji",
            **{"KOJI_USER": "mbs", "KOJI_PASSWORD": "mbs"},
            KOJI_TAG_PERMISSION="module-tags",
            NET_TIMEOUT=120,
            NET_RETRY_INTERVAL=1,
            DATABASE_URL=database,
            BROKER_URL=broker,
            DATA_DIR=folder,
            # As in production, not as in tests.
            SWEEP_INTERVAL=_SWEEP_INTERVAL,
            POLLING_INTERVAL=60,
            OUTBOX_INTERVAL=10,
            OUTBOX_LEASE=60,
            WAKE_AGAIN_AFTER=60,
            SUBMIT_LEASE=300,
        )
        _set_up()
        _listen(double)
        try:
            for number in options.components:
                print(round_trips(Path(folder), double, number, options), flush=True)
            if options.paced:
                print(paced(Path(folder), double, options), flush=True)
            number = options.reactions
            for kind, shape, places in (("build", 1, 1), ("tagBuild", number, 0)) if number else ():
                print(reactions(Path(folder), double, kind, (number, shape), places), flush=True)
            if options.modules:
                print(load(Path(folder), double, options), flush=True)
        finally:
            double.stop()


def round_trips(folder: Path, double: HubDouble, components: int, options: argparse.Namespace) -> str:
    """Build one module and count the HTTP requests to the hub, except uploads."""
    with _Workers(folder, options.workers, environ={}):
        double.log.clear()
        begun = time.perf_counter()
        _run([_make(components, options.batches)])
        seconds = time.perf_counter() - begun
    polls = [request for request in double.log if _POLLS & set(request)]
    requests = [request for request in double.log if not (_UPLOADS | _POLLS) & set(request)]
    if options.verbose:
        for request in requests:
            print("  ", dict(Counter(request)))
    return (
        f"{components:4} components in {options.batches} batches: {len(requests)} round trips, "
        f"{sum(map(len, requests))} calls; besides them {len(polls)} polls; {seconds:.1f} s"
    )


#: Seconds on a real hub, for small packages and a builder that looks for work every minute.
_PACE = {"build": 20.0, "newRepo": 10.0, "tagBuild": 3.0}
_BUILDER_SLEEPS = 60


def paced(folder: Path, double: HubDouble, options: argparse.Namespace) -> str:
    """Build one module with four components per batch at a real hub's pace."""
    books = double.books
    before, books.seconds, books.wait_seconds = books.seconds, dict(_PACE), _BUILDER_SLEEPS
    first = max(books.tasks, default=0)
    with _Workers(folder, options.workers, environ={}, beat=True):
        begun = time.time()
        _run([_make(4 * options.paced, options.paced)])
        ended = time.time()
    books.seconds, books.wait_seconds = before, 0
    tasks = [task for number, task in books.tasks.items() if number > first]
    added = _idle(begun, ended, [(task.created, task.ended or ended, task.method) for task in tasks])
    return (
        f"at a real hub's pace: {options.paced + 1} batches in {ended - begun:.0f} s; seconds that the "
        f"service adds to a batch: median {median(added):.1f}, worst {max(added):.1f}, "
        f"all {sum(added):.1f}"
    )


def _idle(begun: float, ended: float, work: list[tuple[float, float, str]]) -> list[float]:
    """Return the seconds without tasks for each batch; a batch begins with a build after idle time."""
    found, now = [0.0], begun
    for start, end, method in [*sorted(work), (ended, ended, "")]:
        if start > now and method == "build" and found != [0.0]:
            found.append(0.0)
        found[-1] += max(0.0, start - now)
        now = max(now, end)
    return found


class _Requests(list[list[str]]):
    """A log of a fake hub that stores the time of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[tuple[float, list[str]]] = []

    def append(self, methods: list[str]) -> None:
        """Add a request."""
        self.times.append((time.time(), methods))
        super().append(methods)


def reactions(folder: Path, double: HubDouble, method: str, shape: tuple[int, int], places: int) -> str:
    """Measure the time from the end of a build to the request for the next one, or to tag it.

    Args:
        shape: Number of components and of batches.
        places: Max concurrent component builds; 0 for no limit.
    """
    from django.conf import settings

    settings.MBS = settings.MBS.model_copy(update={"NUM_CONCURRENT_BUILDS": places})
    ended: list[float] = []

    def note(topic: str, body: dict[str, Any]) -> None:
        if topic == "buildsys.build.state.change" and body["new"]:
            ended.append(time.time())

    double.books.listeners.append(note)
    double.log = log = _Requests()
    double.books.seconds["build"] = 1
    with _Workers(folder, 2, environ={"MBS_NUM_CONCURRENT_BUILDS": str(places)}):
        _run([_make(*shape)])
    double.books.listeners.remove(note)
    asked = [moment for moment, methods in log.times if method in methods]
    delays = [1000 * (min(later) - begun) for begun in ended if (later := [t for t in asked if t > begun])]
    return (
        f"build ended to {method}: median {median(delays):.0f} ms, "
        f"95 % {quantiles(delays, n=20)[-1]:.0f} ms ({len(delays)} measured)"
    )


def load(folder: Path, double: HubDouble, options: argparse.Namespace) -> str:
    """Build many modules concurrently, with builds of 0 to 2 s and with sweeps like in production."""
    _random_seconds(double)
    number = options.modules * options.size
    with _Workers(folder, options.workers, environ={}, beat=True) as workers, Lateness(double) as lateness:
        double.log.clear()
        builds = [_make(options.size, 4) for _ in range(options.modules)]
        begun = time.perf_counter()
        _run(builds)
        seconds = time.perf_counter() - begun
    kinds = Counter(method for request in double.log for method in set(request) if len(set(request)) == 1)
    if options.verbose:
        print("  ", dict(kinds))
    if max(lateness.worst.values()) > _SWEEP_INTERVAL:
        sys.exit(f"Too late: {lateness}")
    return (
        f"{options.modules} modules of {options.size}: {seconds:.0f} s, {number / seconds:.1f} components/s, "
        f"{1000 * workers.cpu / number:.1f} ms CPU of the workers per component, "
        f"{len(double.log) / options.modules:.0f} round trips per module;\n"
        f"{lateness}"
    )


def _random_seconds(double: HubDouble) -> None:
    """Make builds take 0 to 2 s, the same in each run."""
    dice = random.Random(1)
    make_task = double.books.make_task

    def making(method: str, request: list[Any], owner: int, work: Any, seconds: float | None = None) -> Any:
        drawn = dice.uniform(0, 2) if method == "build" else seconds
        return make_task(method, request, owner, work, drawn)

    double.books.make_task = making  # type: ignore[method-assign]  # for all builds


def _set_up() -> None:
    import django
    from django.core.management import call_command

    import config.celery  # noqa: F401  (tasks are sent through it)

    django.setup()
    call_command("migrate", verbosity=0)


def _listen(double: HubDouble) -> None:
    """Pass the hub's messages to the consumer's code in a thread, like the bus does."""
    from builds.consumers import handlers, koji_events

    waiting: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
    double.books.listeners.append(lambda topic, body: waiting.put((topic, body)))

    def consume() -> None:
        while True:
            topic, body = waiting.get()
            event = koji_events.parse(f"org.fedoraproject.prod.{topic}", body)
            if event:
                handlers.handle(event)

    threading.Thread(target=consume, daemon=True).start()


def _make(components: int, batches: int) -> int:
    """Make a module with module-build-macros and some components, spread over batches."""
    from mbs.macros import PACKAGE
    from tests.builds.workflow.modules import make_build

    shape = [[f"package{number}" for number in range(batch, components, batches)] for batch in range(batches)]
    build = make_build(
        [PACKAGE],
        *shape,
        buildrequires={"platform": {"stream": "f40", "koji_tag": "platform-build"}},
    )
    build.component_builds.filter(package=PACKAGE).update(scmurl=None, ref=None, build_time_only=True)
    build.disttag += f".{build.pk}"
    build.save()
    return int(build.pk)


def _run(builds: list[int]) -> None:
    from builds import dispatch
    from builds.models import ModuleBuild
    from mbs.states import BuildState

    for build in builds:
        dispatch.advance(build)
    waiting = ModuleBuild.objects.filter(pk__in=builds).exclude(state=BuildState.READY)
    while waiting.exists():
        failed = waiting.filter(state=BuildState.FAILED).first()
        if failed:
            sys.exit(f"{failed} failed: {failed.state_reason}")
        time.sleep(0.05)


class _Workers:
    """A worker with some processes, whose CPU seconds are in ``cpu`` after the block."""

    def __init__(self, folder: Path, number: int, *, environ: dict[str, str], beat: bool = False) -> None:
        self.worker = Worker(environ, folder / f"worker{time.time()}.log", concurrency=number, beat=beat)
        self.cpu = 0.0

    def __enter__(self) -> _Workers:
        self.worker.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.worker.process.terminate()
        self.worker.process.wait(30)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.worker.kill()


if __name__ == "__main__":
    main()
