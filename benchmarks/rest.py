"""Measure how fast the REST API is, and whether it stays fast when tables grow.

    python -m benchmarks.rest                 5,000 module builds of 10 components: requests per second
    python -m benchmarks.rest --beside PORT   how many times as fast as another service, in turns
    python -m benchmarks.rest --grow          10,000 and 100,000 module builds: time of their pages, plans

The benchmark starts PostgreSQL and a web server with two workers (as in production; with --wsgi gunicorn, as
MBS 3.9.2 was measured), fills the database and sends requests one after the other. Columns: ``ms`` is the
median; ``CPU ms`` the cost of a request in the server's workers and in PostgreSQL; ``SQL`` its statements,
counted in PostgreSQL; ``other`` the cores that unrelated processes used at the same time (above 0.3, only
CPU and SQL are meaningful). With --grow, ``first`` is a page that was not requested before, and the other
columns are medians of further requests. With --beside, the service at that port of this machine must have
the same data; alternating turns compensate for a machine whose speed changes, and with --pids CPU times are
compared, which other processes distort less.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.server import (
    ASGI,
    WSGI,
    Server,
    Service,
    Statements,
    busy_seconds,
    cpu_seconds,
    service,
    wait_for_quiet,
)

BASES = 5

#: Path, requests per second of MBS 3.9.2 with the same data on a machine of 2 cores, and the required
#: multiple.
ENDPOINTS: list[tuple[str, float, float]] = [
    ("/module-builds/", 12.8, 8),
    ("/module-builds/?per_page=100", 1.6, 25),
    ("/module-builds/?verbose=1&per_page=10", 4.8, 0),
    ("/module-builds/?verbose=1&per_page=100", 0.7, 25),
    ("/module-builds/?short=1&per_page=100", 83.2, 2.5),
    ("/module-builds/?page=400", 11.4, 0),
    ("/module-builds/{id}", 106.6, 2),
    ("/module-builds/{id}?verbose=1", 50.8, 0),
    ("/module-builds/?state=ready&name=mod042", 11.7, 0),
    ("/module-builds/?base_module_br_name=platform&base_module_br_stream=f30", 12.5, 0),
    ("/component-builds/", 89.4, 0),
    ("/component-builds/?per_page=100", 54.8, 0),
    ("/component-builds/?verbose=1", 6.0, 0),
    ("/component-builds/?module_build={id}", 112.1, 0),
    ("/component-builds/{id}", 202.5, 0),
    ("/about/", 1390.2, 0),
]
#: Lists whose pages must stay fast.
GROWING = [
    "/module-builds/?page={page}",
    "/module-builds/?short=1&page={page}",
    "/module-builds/?verbose=1&page={page}",
    "/module-builds/?state=ready&page={page}",
    "/module-builds/?owner=user7&page={page}",
    "/module-builds/?name=mod042&page={page}",
    "/module-builds/?nsvc=mod042:1&page={page}",
    "/module-builds/?submitted_after=2019-01-05T00:00:00Z&page={page}",
    "/module-builds/?base_module_br_name=platform&base_module_br_stream=f30&page={page}",
    "/module-builds/?order_by=version&page={page}",
    "/module-builds/?order_by=name&page={page}",
    "/module-builds/?per_page=100&page={page}",
    "/component-builds/?page={page}",
    "/component-builds/?state=COMPLETE&page={page}",
    "/component-builds/?package=mod042-pkg01&page={page}",
    "/component-builds/?verbose=1&page={page}",
    "/component-builds/?per_page=100&page={page}",
    "/component-builds/?module_build=77&page={page}",
]


def measure_rates(arguments: argparse.Namespace) -> None:
    """Print the table of requests per second."""
    web = WSGI if arguments.wsgi else ASGI
    with service(arguments.keep, arguments.builds, arguments.components, web) as server:
        statements = Statements(server.database)
        head = f"{'req/s':>7} {'ms':>7} {'p95':>7} {'CPU ms':>14} {'SQL':>4} {'kB':>5} {'other':>5}"
        print(f"{'':72} {head}  reference")
        for path, reference, wanted in ENDPOINTS:
            if re.search(arguments.only, path):
                print(_rate(server, statements, path, arguments, reference, wanted), flush=True)


def _rate(
    server: Server,
    statements: Statements,
    path: str,
    arguments: argparse.Namespace,
    reference: float,
    wanted: float,
) -> str:
    ask = _asking(server, path, arguments.builds)
    for _ in range(6):
        body = ask()[1]
    wait_for_quiet(arguments.wait)
    sql = statements.count(ask)
    pids = (server.pid, server.postgres_pid)
    before, own, all_busy = [cpu_seconds(pid) for pid in pids], time.process_time(), busy_seconds()
    times = _times(ask, arguments.seconds)
    passed = sum(times)
    front, database = (cpu_seconds(pid) - spent for pid, spent in zip(pids, before, strict=True))
    other = (busy_seconds() - all_busy - front - database - (time.process_time() - own)) / passed
    rate = len(times) / passed
    times.sort()
    middle, slow = statistics.median(times) * 1e3, times[int(len(times) * 0.95)] * 1e3
    cpu = f"{front / len(times) * 1e3:6.2f} +{database / len(times) * 1e3:6.2f}"
    size, compared = len(body) / 1e3, f"{rate / reference:5.1f} x {reference}"
    return (
        f"{path:72} {rate:7.1f} {middle:7.2f} {slow:7.2f} {cpu} {sql:4.0f} {size:5.0f} {max(0.0, other):5.2f}"
        f"  {compared}" + (f" (wanted {wanted})" if wanted else "")
    )


def _asking(service: Service, path: str, builds: int) -> Callable[[], tuple[bytes, bytes]]:
    """Return a function that requests a path, each time with the id of another build."""
    numbers = iter(range(BASES + 1, 10**9))
    return lambda: service.get(path.replace("{id}", str(BASES + 1 + next(numbers) * 37 % builds)))


def _times(ask: Callable[[], object], seconds: float) -> list[float]:
    """Repeat a request for some time; return the seconds of each."""
    times = []
    started = time.perf_counter()
    while (now := time.perf_counter()) - started < seconds:
        ask()
        times.append(time.perf_counter() - now)
    return times


def _cost(service: Service, ask: Callable[[], object], arguments: argparse.Namespace) -> float:
    """Return the milliseconds that an answer takes; with --pids, of CPU in server and PostgreSQL."""
    pids = (service.pid, service.postgres_pid) if arguments.pids and isinstance(service, Server) else ()
    before = sum(map(cpu_seconds, pids))
    times = _times(ask, arguments.seconds)
    spent = sum(map(cpu_seconds, pids)) - before if pids else sum(times)
    return spent / len(times) * 1e3


def measure_beside(arguments: argparse.Namespace) -> None:
    """Print the table that compares the costs of answers of this and another service."""
    web = WSGI if arguments.wsgi else ASGI
    with service(arguments.keep, arguments.builds, arguments.components, web) as server:
        pids = arguments.pids
        other = Server(arguments.beside, pids[0], "", pids[1]) if pids else Service(arguments.beside)
        services, kind = (other, server), "CPU ms of an answer" if pids else "ms of an answer"
        print(f"{f'{kind}, medians of {arguments.turns} turns':44} {'theirs':>9} {'ours':>9} {'times':>7}")
        for path, _, wanted in ENDPOINTS:
            if not wanted or not re.search(arguments.only, path):
                continue
            both = [_asking(each, path, arguments.builds) for each in services]
            for ask in both:
                _times(ask, 1)
            costs = [
                [_cost(each, ask, arguments) for each, ask in zip(services, both, strict=True)]
                for _ in range(arguments.turns)
            ]
            theirs, ours = (statistics.median(each) for each in zip(*costs, strict=True))
            ratios = sorted(their_cost / our_cost for their_cost, our_cost in costs)
            print(
                f"{path:44} {theirs:9.2f} {ours:9.2f} {statistics.median(ratios):7.1f}  "
                f"({ratios[0]:.1f} to {ratios[-1]:.1f}, wanted {wanted})",
                flush=True,
            )


def measure_growth(arguments: argparse.Namespace) -> None:
    """Print the times of pages of a small and of a large database, requested in turns."""
    with ExitStack() as stack:
        small, large = (
            stack.enter_context(service(folder_of(arguments, builds), builds, arguments.components))
            for builds in (10_000, 100_000)
        )
        _print_plans(large)
        columns = f"{'10,000':>7} {'100,000':>7} {'ratio':>5} {'first':>7} {'count':>7}"
        print(f"{'ms without counting the total':80} {columns}")
        for path in GROWING:
            if not re.search(arguments.only, path):
                continue
            ends = [_pages(server, path) for server in (small, large)]
            for name, page in (("1", 1), ("middle", ends[1] // 2), ("5000", 5000), ("last", ends[1])):
                paths = [path.replace("{page}", str(max(1, min(page, end)))) for end in ends]
                if name == "middle":
                    paths[0] = path.replace("{page}", str(max(1, ends[0] // 2)))
                first, then, now, counting = _page_times(small, large, paths)
                label = path.replace("{page}", name)
                print(
                    f"{label:80} {then:7.2f} {now:7.2f} {now / then:5.2f} {first:7.2f} {counting:7.2f}",
                    flush=True,
                )


def folder_of(arguments: argparse.Namespace, builds: int) -> Path | None:
    """Return the folder of the database with some number of builds, or None if it is not kept."""
    return arguments.keep / str(builds) if arguments.keep else None


def _pages(server: Server, path: str) -> int:
    """Return the number of the last page."""
    body = server.get(path.replace("{page}", "1"))[1]
    return int(re.search(rb'"pages":(\d+)', body)[1])  # type: ignore[index]  # in every answer


def _page_times(small: Server, large: Server, paths: list[str], times: int = 15) -> tuple[float, ...]:
    """Return times for pages of both databases.

    Returns:
        The first time of the large one; the medians of both without counting; the median of counting in the
            large one.
    """
    rows = []
    for _ in range(times):
        row: list[float] = []
        for server, path in zip((small, large), paths, strict=True):
            started = time.perf_counter()
            head, _ = server.get(path)
            passed = (time.perf_counter() - started) * 1e3
            counted = float(re.search(rb"total;dur=([\d.]+)", head)[1])  # type: ignore[index]  # in every answer
            row += [passed - counted, counted]
        rows.append(row)
    then, _, now, counting = (statistics.median(column) for column in zip(*rows, strict=True))
    return rows[0][2], then, now, counting


#: Filters that select less than a hundredth of 100,000 builds or their components.
SELECTIVE = {
    "builds_modulebuild": [
        "name = 'mod042' AND stream = '1'",
        "version = '20190101000042'",
        "context = '0a1b2c3d'",
        "state = 0",
        "koji_tag = 'module-mod042-1-20190101000042-0a1b2c3d'",
        "scmurl = 'https://git.example.com/modules/mod042.git?#a'",
        "build_context = 'a'",
        "build_context_no_bms = 'a'",
        "runtime_context = 'a'",
        "stream_version BETWEEN 300000 AND 300000",
        "new_repo_task_id = 7",
        "reuse_components_from_id = 7",
        "reused_module_id = 7",
        "time_submitted < '2019-01-02'",
        "time_modified < '2019-01-02'",
        "time_completed < '2019-01-02'",
        "batch = 77",
        "owner = 'nobody'",
        "name LIKE 'mod042%'",
        "commit >= 'abc1234' AND commit < 'abc1235'",
        "rebuild_strategy = 'all'",
        "scratch",
        "error_code = 'canceled'",
    ],
    "builds_componentbuild": [
        "package = 'mod042-pkg01'",
        "package LIKE 'mod042-pkg0%'",
        "ref >= 'abc1234' AND ref < 'abc1235'",
        "state = 0",
        "task_id = 1000007",
        "nvr = 'a'",
        "ref = 'a'",
        "scmurl = 'https://git.example.com/rpms/mod042-pkg01'",
        "module_build_id = 77",
        "batch = 77",
        "weight = 99",
        "NOT tagged AND state = 3",
        "format = 'modules'",
        "reused_component_id = 7",
    ],
}


def _print_plans(server: Server) -> None:
    """Print for which filters PostgreSQL reads the whole table."""
    statements = Statements(server.database)
    for table, conditions in SELECTIVE.items():
        for condition in conditions:
            query = f"EXPLAIN SELECT * FROM {table} WHERE {condition} ORDER BY id DESC LIMIT 10"
            plan = "\n".join(str(row[0]) for row in statements.ask(query, ()))
            count = "\n".join(
                str(row[0])
                for row in statements.ask(f"EXPLAIN SELECT count(*) FROM {table} WHERE {condition}", ())
            )
            bad = [kind for kind, text in (("rows", plan), ("count", count)) if "Seq Scan" in text]
            print(f"{table}: {condition}: {'SEQUENTIAL SCAN of ' + ', '.join(bad) if bad else 'by index'}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--builds", type=int, default=5000)
    parser.add_argument("--components", type=int, default=10, help="of each build")
    parser.add_argument("--seconds", type=float, default=5, help="for each row")
    parser.add_argument(
        "--wait", type=float, default=0, help="seconds to wait for a quiet machine, each time"
    )
    parser.add_argument("--only", default=".", metavar="REGEX", help="only paths that match")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep the database there, and use it again"
    )
    parser.add_argument("--wsgi", action="store_true", help="serve with gunicorn's synchronous workers")
    parser.add_argument("--beside", type=int, metavar="PORT", help="port of another service to compare with")
    parser.add_argument(
        "--pids",
        type=int,
        nargs=2,
        metavar=("SERVER", "POSTGRES"),
        help="with --beside: main processes of the other service; compare CPU times, for a busy machine",
    )
    parser.add_argument("--turns", type=int, default=12, help="with --beside")
    parser.add_argument("--grow", action="store_true", help="compare a small with a large database")
    arguments = parser.parse_args()
    print("$ python -m benchmarks.rest", *sys.argv[1:], flush=True)
    measure = measure_growth if arguments.grow else measure_beside if arguments.beside else measure_rates
    measure(arguments)


if __name__ == "__main__":
    main()
