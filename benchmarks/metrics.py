"""Measure the cost of ``monitor/metrics`` with many builds, and after many processes have counted.

    python -m benchmarks.metrics                      10,000 and 100,000 module builds of 10 components
    python -m benchmarks.metrics --processes 500      with the counters of 500 processes that ended

The benchmark starts PostgreSQL, Redis and a web server (``benchmarks.server``). Columns: ``ms`` is the
median; ``CPU ms`` the cost of a request in the server's workers and in PostgreSQL; ``SQL`` its statements;
``count`` the milliseconds in which PostgreSQL counts all components that ended, which few requests cause;
``first`` the slowest of the first requests, including the initialization of workers.
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

from benchmarks.server import Server, Statements, cpu_seconds, service
from tests.processes import redis_server

PATH = "/monitor/metrics"
FIRST, TIMES = 10, 50
COUNTING = "SELECT max(max_exec_time) FROM pg_stat_statements WHERE query ~ 'builds_componentbuild.*GROUP BY'"
#: Counters of a process of the service.
PROCESS = (
    "import django; django.setup(); from builds.observability.metrics import service_metrics;"
    " metrics = service_metrics();"
    " [metrics.requests.labels('GET', f'route{n}', 200).inc() for n in range(20)];"
    " [metrics.request_seconds.labels('GET', f'route{n}').observe(0.1) for n in range(20)]"
)


def leave_figures(folder: Path, processes: int) -> None:
    """Fill the folder of counters as if some processes had ended."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    subprocess.run([sys.executable, "-c", PROCESS], env=environment, check=True)
    written = list(folder.glob("*.db"))
    for number in range(1, processes):
        for path in written:
            kind, _, _ = path.stem.rpartition("_")
            (folder / f"{kind}_{10**8 + number}.db").write_bytes(path.read_bytes())


def measure(server: Server) -> str:
    """Return a row of the table without its first columns."""
    statements, pids = Statements(server.database), (server.pid, server.postgres_pid)
    statements.ask("SELECT pg_stat_statements_reset()", ())
    first = max(_times(server, FIRST))
    ((counting,),) = statements.ask(COUNTING, ())
    before = [cpu_seconds(pid) for pid in pids]
    median = statistics.median(_times(server, TIMES))
    web, database = ((cpu_seconds(pid) - spent) / TIMES for pid, spent in zip(pids, before, strict=True))
    sql = statements.count(lambda: server.get(PATH))
    cpu = f"{web * 1e3:6.1f} +{database * 1e3:6.1f}"
    return f"{median * 1e3:7.1f} {cpu} {sql:4.0f} {counting:7.1f} {first * 1e3:7.1f}"


def _times(server: Server, times: int) -> list[float]:
    passed = []
    for _ in range(times):
        started = time.perf_counter()
        server.get(PATH)
        passed.append(time.perf_counter() - started)
    return passed


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--builds", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--processes", type=int, default=0, help="processes that have counted and ended")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep the databases there, and use them again"
    )
    options = parser.parse_args()
    print("$ python -m benchmarks.metrics", *sys.argv[1:], flush=True)
    print(f"{'builds':>9} {'components':>10} {'ms':>7} {'CPU ms':>14} {'SQL':>4} {'count':>7} {'first':>7}")
    with redis_server() as broker, tempfile.TemporaryDirectory() as name:
        os.environ |= {"MBS_BROKER_URL": broker, "MBS_DATA_DIR": name}
        if options.processes:
            leave_figures(Path(name, "metrics"), options.processes)
        for builds in options.builds:
            with service(options.keep and options.keep / str(builds), builds, 10) as server:
                print(f"{builds:9,} {builds * 10:10,} {measure(server)}", flush=True)


if __name__ == "__main__":
    main()
