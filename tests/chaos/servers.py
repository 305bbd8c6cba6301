"""PostgreSQL and Redis servers that faults can affect."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import redis

from tests.postgresql import programs
from tests.processes import Redis, free_port

#: This program's connections have this name, so that faults spare them.
APPLICATION = "chaos"


class Postgres:
    """A PostgreSQL server that can be stopped and started again with its data.

    Args:
        folder: An existing folder for data and log.
    """

    def __init__(self, folder: Path) -> None:
        self._data, self._port = folder / "data", free_port()
        # The server refuses to run as root.
        self._user = "postgres" if os.getuid() == 0 else None
        folder.chmod(0o755)
        self._data.mkdir(mode=0o700)
        self._log = folder / "log"
        self._log.touch()
        if self._user:
            shutil.chown(self._data, self._user)
            shutil.chown(self._log, self._user)
        self._run("initdb", "--auth=trust", "--username=mbs", "--no-sync", "--encoding=UTF8", "--locale=C")
        self.url = f"postgresql://mbs:unused@127.0.0.1:{self._port}/postgres"

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        subprocess.run(
            [programs() / program, "-D", self._data, *arguments],
            user=self._user,
            cwd="/",
            check=check,
            stdout=subprocess.DEVNULL,
        )

    def start(self) -> None:
        """Start the server and wait until it answers."""
        # fsync=off is safe: the kernel keeps the writes of a killed server while the machine runs.
        options = (
            f"-p {self._port} -k {self._data} -c listen_addresses=127.0.0.1 -c fsync=off"
            " -c max_connections=200 -c log_lock_waits=on -c deadlock_timeout=1s"
            " -c log_line_prefix='%m [%p] %e '"
        )
        self._run("pg_ctl", "start", "--wait", "-t", "120", "--options", options, "--log", str(self._log))

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server: ``fast`` ends its sessions, ``immediate`` is a crash."""
        self._run("pg_ctl", "stop", f"--mode={mode}", "-t", "60", check=False)

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """Open a connection that commits each statement, and close it at the end."""
        connection = psycopg2.connect(self.url, connect_timeout=10, application_name=APPLICATION)
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()

    def query(self, sql: str, *values: Any) -> Sequence[Sequence[Any]]:
        """Return the rows of one statement.

        Raises:
            psycopg2.Error: The server is not reachable.
        """
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else ()

    def deadlocks(self) -> int:
        """Return how many deadlocks the server has resolved."""
        return self._log.read_text(errors="replace").count("deadlock detected")


class FaultyRedis(Redis):
    """A Redis server that faults can affect."""

    def client(self) -> redis.Redis:
        """Return a client with timeouts."""
        return redis.Redis(port=self.port, socket_timeout=30, socket_connect_timeout=5)
