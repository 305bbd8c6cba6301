"""Measure how fast pages are with many builds: the first view, and further ones.

    python -m benchmarks.pages                       100,000 module builds of 10 components
    python -m benchmarks.pages --builds 10000 --open 1000

The benchmark starts PostgreSQL, Redis and a web server (``benchmarks.server``). It adds two audit entries for
each build, a week of samples of the load, and a wait for each active build. ``--open`` components are not
complete: 1950 are almost the most that pages predict themselves. With more, a sweep predicts, and its CPU
time is printed. Columns: ``first`` is the first view by a new server, and its cost in CPU time of the
server's workers and of PostgreSQL; ``ms`` is the median of further views, with their cost; ``SQL`` are its
statements. On a busy machine, only CPU times and statements are meaningful.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import Request, urlopen

from benchmarks.server import Server, Statements, cpu_seconds, service, settings
from tests.processes import redis_server

PAGES = (
    *("/", "/?state=failed", "/builds/{build}", "/queue", "/search?q=mod042", "/modules/mod042/1"),
    *("/module-build-service/2/module-builds/", "/admin/", "/admin/builds/modulebuild/"),
    *("/admin/builds/auditentry/", "/admin/builds/auditentry/?q=user7", "/admin/builds/wait/"),
)
#: Views of each page after the first.
TIMES = 20
#: Adds rows, and prints the session of an operator.
PREPARE = """
import django; django.setup()
import time
from datetime import timedelta
from django.db.models import Count, Q
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from builds.selectors import predictions
from builds.workflow import sweeps
from builds.models import AuditEntry, ComponentBuild, LoadSample, ModuleBuild, Wait
from mbs.states import ACTIVE, BuildState, ComponentState
open_ = Count("component_builds", filter=Q(component_builds__state=None) | Q(component_builds__state=0))
active = ModuleBuild.objects.filter(state__in=ACTIVE).annotate(open=open_).order_by("-pk")
total = 0
for pk, count in list(active.values_list("pk", "open")):
    total += max(count, 1)
    if total > {open}:
        ModuleBuild.objects.filter(pk__lte=pk, state__in=ACTIVE).update(state=BuildState.READY)
        break
ended = ComponentBuild.objects.exclude(module_build__state__in=ACTIVE)
ended.filter(state=ComponentState.BUILDING).update(state=ComponentState.COMPLETE)
now = timezone.now()
rows = list(ModuleBuild.objects.values_list("pk", "owner", "state", "run"))
if not AuditEntry.objects.exists():
    for action in ("submitted", "retried"):
        entries = (
            AuditEntry(time=now, who=who, via="api", action=action, module_build_id=pk)
            for pk, who, *_ in rows
        )
        AuditEntry.objects.bulk_create(entries, batch_size=5000)
    LoadSample.objects.bulk_create(
        LoadSample(time=now - timedelta(minutes=n), building=5, waiting=n % 40, oldest_wait=n % 900)
        for n in range(7 * 24 * 60)
    )
    Wait.objects.bulk_create(
        Wait(key=f"component:{pk}", celery_task_id=f"task-{pk}", module_build_id=pk, run=run, signature={},
             what="x is being built", wakes_on="the end of the build")
        for pk, _, state, run in rows if state in ACTIVE
    )
user, _ = User.objects.get_or_create(username="operator", is_staff=True, is_superuser=True)
client = Client()
client.force_login(user)
begun = time.process_time()
predictions.prepare(now)
took = time.process_time() - begun
sweeps.run(predictions.FORECAST)
print(client.cookies["sessionid"].value, f"{took:.1f}")
"""


def measure(server: Server, session: str, statements: Statements, path: str) -> str:
    """Return a row of the table."""
    cells = []
    for times in (1, TIMES):
        before = _cpu(server)
        median = statistics.median(_view(server, session, path) for _ in range(times))
        web, database = ((now - spent) / times for now, spent in zip(_cpu(server), before, strict=True))
        cells.append(f"{median * 1e3:7.1f} {web * 1e3:6.1f} +{database * 1e3:6.1f}")
    sql = statements.count(lambda: _view(server, session, path))
    return f"{path:40} {' '.join(cells)} {sql:4.0f}"


def _cpu(server: Server) -> list[float]:
    return [cpu_seconds(pid) for pid in (server.pid, server.postgres_pid)]


def _view(server: Server, session: str, path: str) -> float:
    headers = {"Accept": "text/html", "Cookie": f"sessionid={session}"}
    request = Request(f"http://127.0.0.1:{server.port}{path}", headers=headers)
    started = time.perf_counter()
    with urlopen(request) as answer:  # noqa: S310  (a fixed scheme)
        answer.read()
    return time.perf_counter() - started


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--builds", type=int, default=100_000)
    parser.add_argument("--open", type=int, default=1950)
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep the database there, and use it again"
    )
    options = parser.parse_args()
    print("$ python -m benchmarks.pages", *sys.argv[1:], flush=True)
    with redis_server() as broker, tempfile.TemporaryDirectory() as name:
        os.environ |= {"MBS_BROKER_URL": broker, "MBS_DATA_DIR": name}
        with service(options.keep, options.builds, 10) as server:
            environment = settings(server.database, server.port)
            program = [sys.executable, "-c", PREPARE.replace("{open}", str(options.open))]
            prepared = subprocess.run(program, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            session, took = prepared.stdout.split()
            print(f"The sweep 'forecast' took {took} s.", flush=True)
            statements = Statements(server.database)
            statements.ask("ANALYZE", ())
            print(f"{'page':40} {'first':>7} {'CPU ms':>14} {'ms':>7} {'CPU ms':>14} {'SQL':>4}")
            for path in PAGES:
                path = path.format(build=options.builds // 2)
                print(measure(server, session, statements, path), flush=True)


if __name__ == "__main__":
    main()
