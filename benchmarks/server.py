"""Start a web server with PostgreSQL and a data set, send requests to it, and measure what they cost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.postgres import free_port, postgres

ROOT = "/module-build-service/2"


@dataclass
class Service:
    """A service on this machine."""

    port: int

    def get(self, path: str) -> tuple[bytes, bytes]:
        """Request a path over a new connection; return head and body of the answer.

        Raises:
            SystemExit: The status is not 200.
        """
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            host = f"127.0.0.1:{self.port}"
            head = f"GET {ROOT}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode())
            chunks = []
            while chunk := connection.recv(1 << 18):
                chunks.append(chunk)
        answer, _, body = b"".join(chunks).partition(b"\r\n\r\n")
        if b" 200 " not in answer[:20]:
            raise SystemExit(f"{path}: {answer.decode()}\n{body[:500].decode()}")
        return answer, body


@dataclass
class Server(Service):
    """The service under test.

    Attributes:
        pid: Id of its main process.
        database: Url of its database.
        postgres_pid: Id of PostgreSQL's main process.
    """

    pid: int
    database: str
    postgres_pid: int


def settings(database: str, port: int) -> dict[str, str]:
    """Return the environment of the service."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "MBS_CONFIG_FILE": "",
        "MBS_CONFIG_SECTION": "standalone",
        "MBS_SYSTEM": "simulated",
        "MBS_DATABASE_URL": database,
        "MBS_BASE_URL": f"http://127.0.0.1:{port}",
        "MBS_LOG_LEVEL": "warning",
    }


#: Commands of web servers with two workers.
ASGI = ["manage.py", "web", "--workers=2", "--port={port}"]
WSGI = ["-m", "gunicorn", "config.wsgi", "--workers=2", "--worker-class=sync", "--bind=127.0.0.1:{port}"]


@contextmanager
def service(folder: Path | None, builds: int, components: int, web: Sequence[str] = ASGI) -> Iterator[Server]:
    """Start PostgreSQL with a data set, and a web server."""
    with postgres(folder) as (database, postgres_pid):
        port = free_port()
        environment = settings(database, port)
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=environment, check=True)
        if folder is None or not (folder / "filled").exists():
            started = time.time()
            program = f"from benchmarks.dataset import fill; fill({builds}, {components})"
            command = [sys.executable, "-c", f"import django; django.setup(); {program}"]
            subprocess.run(command, env=environment, check=True)
            if folder is not None:
                (folder / "filled").touch()
            print(f"{builds:,} builds of {components} components loaded in {time.time() - started:.0f} s")
        command = [sys.executable, *(part.format(port=port) for part in web)]
        process = subprocess.Popen(command, env=environment)
        try:
            server = Server(port, process.pid, database, postgres_pid)
            _wait(lambda: server.get("/about/"))
            yield server
        finally:
            process.terminate()
            process.wait()


def _wait(ask: Callable[[], object]) -> None:
    for _ in range(300):
        try:
            ask()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("The server did not start.")


class Statements:
    """Counts statements inside PostgreSQL."""

    def __init__(self, database: str) -> None:
        import psycopg2

        self.connection = psycopg2.connect(database)
        self.connection.autocommit = True
        self.ask("CREATE EXTENSION IF NOT EXISTS pg_stat_statements", ())

    def ask(self, query: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        """Run a query and return its rows."""
        with self.connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def count(self, request: Callable[[], object], times: int = 5) -> float:
        """Return the number of statements of a request, without those that begin and end transactions."""
        self.ask("SELECT pg_stat_statements_reset()", ())
        for _ in range(times):
            request()
        ours = "query !~* 'pg_stat_statements' AND query !~* '^(begin|commit|rollback|savepoint|release)'"
        ((calls,),) = self.ask(f"SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE {ours}", ())
        return float(str(calls)) / times


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its descendants."""
    total = 0.0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        try:
            total += sum(process.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return total


def busy_seconds() -> float:
    """Return the CPU time that the machine was busy."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def wait_for_quiet(seconds: float) -> None:
    """Wait until less than a fifth of one core is busy, for at most some seconds."""
    end = time.time() + seconds
    while time.time() < end:
        before = busy_seconds()
        time.sleep(1)
        if busy_seconds() - before < 0.2:
            return
