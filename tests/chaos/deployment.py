"""The processes of an installation, as in docs/production.md, and a supervisor that restarts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.processes import wait_for

HERE = Path(__file__).resolve().parent
#: Intervals are a tenth of the defaults, so 3 s correspond to 30 s in production.
CONFIG = """
class ProdConfiguration:
    SECRET_KEY = "{secret}"
    DATABASE_URL = "{database}"
    BROKER_URL = "{broker}"
    DATA_DIR = "{folder}/data"
    BASE_URL = "http://127.0.0.1:{port}"
    ALLOWED_HOSTS = ["127.0.0.1"]
    NO_AUTH = True
    YAML_SUBMIT_ALLOWED = True
    RPMS_DEFAULT_REPOSITORY = "https://git.example.com/rpms/"
    SYSTEM = "koji"
    KOJI_CONFIG = "{folder}/koji.conf"
    KOJI_PROFILE = "koji"
    KOJI_USER = "mbs"
    KOJI_PASSWORD = "mbs"
    KOJI_TAG_PERMISSION = "module-tags"
    MESSAGING = "fedora-messaging"
    NUM_CONCURRENT_BUILDS = {slots}
    SWEEP_INTERVAL = 3
    POLLING_INTERVAL = 6
    OUTBOX_INTERVAL = 1
    OUTBOX_LEASE = 6
    LOST_AFTER = 6
    WAKE_AGAIN_AFTER = 6
    SUBMIT_LEASE = 30
    RETRY_BACKOFF_MAX = 6
    NET_TIMEOUT = 12
    NET_RETRY_INTERVAL = 3
    MESSAGING_TIMEOUT = 2
    LOG_LEVEL = "info"
    LOG_FORMAT = "plain"
"""


class Process:
    """A process of the deployment with its children.

    Attributes:
        spontaneous: Exit codes of ends that no fault caused.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], environ: Mapping[str, str], folder: Path
    ) -> None:
        self.name, self.command, self.environ = name, [str(part) for part in command], environ
        self.log = folder / "logs" / f"{name}.log"
        self.skew = 0.0
        self.expected = False
        self.restarts = 0
        self.spontaneous: list[int] = []
        self.start_at = 0.0
        self._folder = folder
        self.popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process in its own session."""
        environ = {**os.environ, **self.environ}
        if self.skew:
            path = f"{HERE / 'wrong_clock'}:{environ.get('PYTHONPATH', '')}"
            environ |= {"CHAOS_SKEW": str(self.skew), "PYTHONPATH": path}
        with self.log.open("ab") as out:
            self.popen = subprocess.Popen(
                self.command,
                cwd=self._folder / "work",
                env=environ,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.expected = False

    def members(self) -> list[int]:
        """Return the ids of all processes of its session, its own first."""
        if self.popen is None:
            return []
        leader, found = self.popen.pid, []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                # proc(5): after the name in parentheses come state, ppid, pgrp and session.
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == leader and fields[0] != "Z":
                    found.append(int(entry))
        return sorted(found, key=lambda pid: (pid != leader, pid))

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all processes of its session."""
        for pid in self.members():
            with suppress(ProcessLookupError):
                os.kill(pid, number)


class Deployment:
    """All processes. The supervisor holds ``lock`` while it examines them."""

    def __init__(
        self, folder: Path, environ: Mapping[str, str], port: int, bus_config: Path, *, workers: int = 2
    ) -> None:
        self.port = port
        self.processes: dict[str, Process] = {}
        self.lock = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._supervise, daemon=True, name="supervisor")
        python = sys.executable
        celery = (python, "-m", "celery", "-A", "config.celery")

        def add(name: str, *command: str | Path) -> None:
            self.processes[name] = Process(name, command, environ, folder)

        def worker(name: str, queue: str, concurrency: int, *options: str) -> None:
            names = ("worker", "-Q", queue, f"--concurrency={concurrency}", f"--hostname={name}@chaos")
            add(name, *celery, *names, "-l", "INFO", *options)

        add("web", python, "-m", "tests.chaos.web", "--workers=2", f"--port={port}")
        for number in range(1, workers + 1):
            worker(f"workflow{number}", "workflow", 2, "--prefetch-multiplier=4")
        worker("sweeps", "sweeps", 2)
        worker("polls", "polls", 5)
        worker("checks", "checks", 1)
        add("beat", *celery, "beat", "--pidfile=", f"--schedule={folder}/work/beat", "-l", "INFO")
        add("consumer", Path(python).with_name("fedora-messaging"), "--conf", bus_config, "consume")

    def start(self, seconds: float = 180) -> None:
        """Start all processes and wait until they are ready."""
        for process in self.processes.values():
            process.start()
        self._thread.start()
        wait_for(self._ready, seconds, "the deployment")

    def _ready(self) -> bool:
        workers = [process for process in self.processes.values() if "worker" in process.command]
        if not all(b" ready." in process.log.read_bytes() for process in workers):
            return False
        url = f"http://127.0.0.1:{self.port}/module-build-service/2/about/"
        with suppress(OSError), urllib.request.urlopen(url, timeout=3) as answer:
            return answer.status == 200
        return False

    def _supervise(self) -> None:
        while not self._over.wait(0.25):
            with self.lock:
                for process in self.processes.values():
                    if process.popen and process.popen.poll() is not None:
                        self._revive(process, process.popen.returncode)

    @staticmethod
    def _revive(process: Process, code: int) -> None:
        """Kill the children of an ended process, as systemd does, and restart it half a second later."""
        if not process.start_at:
            process.send(signal.SIGKILL)
            if not process.expected:
                process.spontaneous.append(code)
            process.start_at = time.monotonic() + 0.5
        elif time.monotonic() >= process.start_at:
            process.start_at = 0.0
            process.restarts += 1
            process.start()

    def let_run(self) -> None:
        """Continue all processes that a fault has stopped."""
        for process in self.processes.values():
            process.send(signal.SIGCONT)

    def stop(self) -> None:
        """Terminate all processes, and kill those that run after 15 seconds."""
        self._over.set()
        self._thread.join(5)
        self.let_run()
        running = [process for process in self.processes.values() if process.popen]
        for process in running:
            process.popen.terminate()
        end = time.monotonic() + 15
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.popen.wait(max(0.1, end - time.monotonic()))
            process.send(signal.SIGKILL)
