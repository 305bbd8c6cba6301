"""Measure how watchers of module builds slow down requests for lists.

    python -m benchmarks.events                 500 watchers of 50 builds with events

The benchmark starts PostgreSQL and a web server, fills the database, and requests the default list over one
connection: without watchers, with watchers of builds without events, and with watchers of builds with
constant events. ``delay`` is the time from the commit of a row to its arrival at the watchers. The watchers
run on the same machine, so the results include their cost.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import psutil
import psycopg2

from benchmarks.postgres import free_port, postgres
from benchmarks.server import ROOT, cpu_seconds, settings

#: Ids of builds that never end.
ACTIVE = "SELECT id FROM builds_modulebuild WHERE state = 2 ORDER BY id LIMIT %s"
INSERT = (
    "INSERT INTO builds_logmessage (module_build_id, message, time_created)"
    " SELECT id, %s, now() FROM unnest(%s) AS id"
)


class Watchers:
    """Connections that read events and measure the delay of log lines that contain their time.

    Attributes:
        received: Number of events.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.received = 0
        self.delays: list[float] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def add(self, build_id: int) -> None:
        """Connect a watcher of a build."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            f"GET {ROOT}/module-builds/{build_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        )
        line = await reader.readline()
        assert b" 200 " in line, line
        self.tasks.append(asyncio.create_task(self._read(reader, writer)))

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async for line in reader:
                if line.startswith(b"event: "):
                    self.received += 1
                elif b"written " in line:
                    self.delays.append(time.time() - float(line.split(b"written ")[1].split(b'"')[0]))
        finally:
            writer.close()

    async def stop(self) -> None:
        """Close all connections."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def ask(port: int, seconds: float) -> list[float]:
    """Request the default list over new connections; return the milliseconds of each request."""
    request = f"GET {ROOT}/module-builds/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    times, end = [], time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request)
            first = connection.recv(1 << 18)
            while connection.recv(1 << 18):
                pass
        assert b" 200 " in first[:20], first[:200]
        times.append((time.perf_counter() - started) * 1e3)
    return times


async def measure(
    name: str, port: int, pids: list[int], database: str, arguments: argparse.Namespace
) -> None:
    """Print one row of the table."""
    before, started = sum(map(cpu_seconds, pids)), time.perf_counter()
    # The requests come from another process, so that reading events does not delay them.
    command = [
        sys.executable,
        "-m",
        "benchmarks.events",
        "--ask",
        str(port),
        "--seconds",
        str(arguments.seconds),
    ]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    times = sorted(float(text) for text in output.split())
    cores = (sum(map(cpu_seconds, pids)) - before) / (time.perf_counter() - started)
    server = psutil.Process(pids[0])
    threads = sum(p.num_threads() for p in [server, *server.children(recursive=True)])
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        ((connections,),) = cursor.fetchall()
    print(
        f"{name:34} {len(times):6} {statistics.median(times):8.1f} {times[int(len(times) * 0.95)]:8.1f}"
        f" {cores:6.2f} {threads:8} {connections - 1:12}",
        flush=True,
    )


async def run(port: int, pids: list[int], database: str, arguments: argparse.Namespace) -> None:
    """Print the table."""
    print(f"{'':34} {'lists':>6} {'ms':>8} {'p95 ms':>8} {'cores':>6} {'threads':>8} {'connections':>12}")
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(ACTIVE, (arguments.builds,))
        builds = [row[0] for row in cursor.fetchall()]
    connection.close()
    ask(port, 1)
    await measure("no watchers", port, pids, database, arguments)
    watchers = Watchers(port)
    started = time.perf_counter()
    await asyncio.gather(*(watchers.add(builds[n % len(builds)]) for n in range(arguments.watchers)))
    passed = time.perf_counter() - started
    print(f"{arguments.watchers} watchers of {len(builds)} builds joined in {passed:.1f} s")
    await asyncio.sleep(2)
    await measure(f"{arguments.watchers} watchers, no events", port, pids, database, arguments)
    writing = asyncio.create_task(write(database, builds, arguments.pause))
    watchers.received, watchers.delays = 0, []
    await measure(f"{arguments.watchers} watchers, events in all builds", port, pids, database, arguments)
    writing.cancel()
    await asyncio.sleep(1.5)
    delays = sorted(watchers.delays)
    print(
        f"{watchers.received} events received; delay: median {statistics.median(delays):.2f} s,"
        f" 95 % {delays[int(len(delays) * 0.95)]:.2f} s, longest {delays[-1]:.2f} s"
    )
    await watchers.stop()
    await asyncio.sleep(2)
    await measure("no watchers again", port, pids, database, arguments)


async def write(database: str, builds: list[int], pause: float) -> None:
    """Add a line to the log of every build, repeatedly."""
    connection = await asyncio.to_thread(psycopg2.connect, database)
    connection.autocommit = True
    with connection.cursor() as cursor:
        while True:
            await asyncio.to_thread(cursor.execute, INSERT, (f"written {time.time()}", builds))
            await asyncio.sleep(pause)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--watchers", type=int, default=500)
    parser.add_argument("--builds", type=int, default=50, help="builds with watchers")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two lines of a build")
    parser.add_argument("--seconds", type=float, default=8, help="for each row")
    parser.add_argument("--workers", type=int, default=1, help="processes of the server")
    parser.add_argument("--ask", type=int, metavar="PORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask:
        print(*ask(arguments.ask, arguments.seconds))
        return
    print("$ python -m benchmarks.events", *sys.argv[1:], flush=True)
    with postgres() as (database, postgres_pid), tempfile.TemporaryDirectory() as folder:
        port = free_port()
        environment = settings(database, port) | {"MBS_DATA_DIR": folder}
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=environment, check=True)
        program = "import django; django.setup(); from benchmarks.dataset import fill; fill(2000, 10)"
        subprocess.run([sys.executable, "-c", program], env=environment, check=True)
        command = [sys.executable, "manage.py", "web", f"--port={port}", f"--workers={arguments.workers}"]
        server = subprocess.Popen([*command, "--grace=3"], env=environment)
        try:
            for _ in range(100):
                time.sleep(0.2)
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
            asyncio.run(run(port, [server.pid, postgres_pid], database, arguments))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
