"""Run the standalone service while it is needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mbs.client.address import Running, running
from mbs.client.up.child import die_with_parent
from mbs.client.up.services import HOME, environment
from mbs.errors import MBSError

LOG_FILE = "up.log"
#: Seconds until the service must be ready. An idle machine needs five, a busy one minutes.
START_TIME = 300
#: Lines of output shown after a failure.
LINES = 15
#: Seconds until the service must have stopped.
STOP_TIME = 60


class ServiceFailed(MBSError):
    """The standalone service failed."""

    code = "service_failed"


class Service:
    """The service on a data folder: one that is running, or one that is started here.

    Args:
        modules: modulemd files to import as ready modules.
        process: The started process; None if the service was running.
    """

    def __init__(self, data: Path, modules: Sequence[Path], process: subprocess.Popen[bytes] | None) -> None:
        self._data = data
        self._modules = modules
        self._process = process
        self._released = False

    def ready(self) -> Running:
        """Wait until the service can be used.

        Raises:
            ServiceFailed: It did not become ready.
        """
        if self._process:
            return _wait_until_ready(self._process, self._data)
        found = running(self._data)
        if found is None:
            raise failure("ended", self._data)
        if self._modules:
            manage(found, "import_module", *map(str, self._modules))
        return found

    def release(self) -> None:
        """Request the stop of a service that was started here, without waiting for it."""
        if self._process and not self._released:
            self._released = True  # after a second signal, it would kill its programs
            self._process.terminate()

    def stop(self) -> None:
        """Stop a service that was started here."""
        self.release()
        if self._process:
            try:
                self._process.wait(STOP_TIME)
            except subprocess.TimeoutExpired:
                self._process.kill()  # the kernel kills its children too
                self._process.wait()


@contextmanager
def service(
    data: Path, *, keep: bool, modules: Sequence[Path] = (), options: Sequence[str] = ()
) -> Iterator[Service]:
    """Provide the service on a data folder: the running one, or a new one.

    A new service writes its log to ``up.log``, and ends with the context or with this process.

    Args:
        keep: Keep it running, unless the context fails.
        modules: modulemd files to import as ready modules.
        options: Further options of ``mbs up`` for a new service.
    """
    started = None if running(data) else _start(data, modules, options, keep=keep)
    mine = Service(data, modules, started)
    kept = False
    try:
        yield mine
        kept = keep
    finally:
        if not kept:
            mine.stop()


def _start(
    data: Path, modules: Sequence[Path], options: Sequence[str], *, keep: bool
) -> subprocess.Popen[bytes]:
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    imports = [option for path in modules for option in ("--import", str(path))]
    with open(data / LOG_FILE, "wb", opener=_private) as log:
        return subprocess.Popen(
            (sys.executable, "-m", "mbs.client", "up", "--data", str(data), *imports, *options),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=HOME,
            start_new_session=True,  # Ctrl-C reaches this process only, which then stops the service
            preexec_fn=None if keep else die_with_parent(signal.SIGTERM),
        )


def _private(path: str, flags: int) -> int:
    """Open a file that other users cannot read."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def _wait_until_ready(process: subprocess.Popen[bytes], data: Path) -> Running:
    end = time.monotonic() + START_TIME
    while time.monotonic() < end and process.poll() is None:
        found = running(data)
        if found and found.pid == process.pid:
            return found
        time.sleep(0.05)
    raise failure("did not become ready" if process.returncode is None else "ended", data)


def failure(what: str, data: Path) -> ServiceFailed:
    """Return the error with the end of the service's log."""
    lines = (data / LOG_FILE).read_text(errors="replace").splitlines()
    return ServiceFailed(
        "\n  ".join([f"The service {what}. The end of its log:", *lines[-LINES:]]),
        hint=f"Read the whole log in {data / LOG_FILE}.",
    )


def manage(service: Running, *arguments: str) -> None:
    """Run a ``mbs-manager`` command on the service's database.

    Raises:
        ServiceFailed: The command failed. The error contains its output.
    """
    done = subprocess.run(
        (sys.executable, "manage.py", *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=HOME,
        env=environment(Path(service.data), service.base_url),
    )
    if done.returncode:
        said = "\n  ".join(done.stderr.strip().splitlines()[-LINES:])
        raise ServiceFailed(f"mbs-manager {' '.join(arguments)} failed:\n  {said}")
