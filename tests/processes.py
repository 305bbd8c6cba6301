"""Servers and workers for tests, on free ports of this machine, which end with the test run."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil

from mbs.client.up.needs import find_redis

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")


def free_port() -> int:
    """Return a free port below those that the kernel gives to other programs until it is used.

    It is random: tests that run at the same time must not get the same one.
    """
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that only waits to be reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], T | None], seconds: float = 120, what: str = "a condition") -> T:
    """Return the first true result of ``condition``; fail the test after some seconds."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}; last answer: {answer!r}")
        time.sleep(0.02)


class Redis:
    """A Redis without persistence, whose address stays the same after a restart."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Redis:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start the server."""
        self.process = subprocess.Popen(
            [str(find_redis()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        wait_for(self._listens, what="the test's Redis")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """Kill the server."""
        self.process.kill()
        self.process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it accept connections without answering; it keeps its data."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis without persistence; yield its url."""
    with Redis() as server:
        yield server.url


class Worker:
    """A Celery worker process for some queues.

    Args:
        app: The Celery application; ``tests.faults`` has one with faults.
    """

    def __init__(
        self,
        environ: dict[str, str],
        log: Path,
        *,
        queues: str = "workflow,sweeps,polls,checks,builds",
        concurrency: int = 2,
        app: str = "config.celery",
        beat: bool = False,
        level: str = "INFO",
        prefetch: int = 1,
    ) -> None:
        self.log = log
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "-Q", queues, "-c", str(concurrency)]
        command += [f"--prefetch-multiplier={prefetch}"]
        command += ["--without-gossip", "--without-mingle", "-l", level, "-n", f"{log.stem}@test"]
        if beat:
            command += ["-B", "-s", str(log.with_suffix(".beat"))]
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                # Files that it leaves when killed are beside its log.
                env={**os.environ, "TMPDIR": str(log.parent), **environ},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until it accepts tasks."""
        wait_for(lambda: b" ready." in self.log.read_bytes() or self.process.poll(), 60, f"worker {self.log}")
        assert self.process.poll() is None, self.log.read_text()[-3000:]

    def stop(self) -> None:
        """Let it finish its tasks, like a service manager does."""
        self.process.terminate()
        self.process.wait()

    def kill(self) -> None:
        """Kill the worker and its children by SIGKILL."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def processes(mark: str) -> list[str]:
    """Command lines on this machine that hold a mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in line and "pytest" not in line:
            found.append(line)
    return found
