"""The standalone service, for as long as something needs it."""

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
#: Seconds in which the service must be ready; a slow machine needs about ten.
START_TIME = 120
#: How much of what a program said is shown when it failed.
LINES = 15
#: Seconds in which it must have stopped.
STOP_TIME = 60


class ServiceFailed(MBSError):
    """The standalone service did not do what was asked of it."""

    code = "service_failed"


class Service:
    """The service on a data folder: the one that ran there, or one that was started.

    Args:
        modules: Documents of modules that it is to know as ready.
        process: The one that was started; None when it ran.
    """

    def __init__(self, data: Path, modules: Sequence[Path], process: subprocess.Popen[bytes] | None) -> None:
        self._data = data
        self._modules = modules
        self._process = process
        self._released = False

    def ready(self) -> Running:
        """Wait until it can be used.

        Raises:
            ServiceFailed: When it cannot be.
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
        """Have it stop, if it was started here, while what does not need it goes on."""
        if self._process and not self._released:
            self._released = True  # asked twice it would end its programs in the middle of their work
            self._process.terminate()

    def stop(self) -> None:
        """See it stopped, if it was started here."""
        self.release()
        if self._process:
            try:
                self._process.wait(STOP_TIME)
            except subprocess.TimeoutExpired:
                self._process.kill()  # its children die with it
                self._process.wait()


@contextmanager
def service(data: Path, *, keep: bool, modules: Sequence[Path] = ()) -> Iterator[Service]:
    """The service on a data folder: the one that runs there, or a new one, which starts while the block runs.

    A new one writes its log to ``up.log`` and ends with this block, or with this process.

    Args:
        keep: Leave it running, unless the block fails.
        modules: Documents of modules that it is to know as ready.
    """
    mine = Service(data, modules, None if running(data) else _start(data, modules, keep=keep))
    kept = False
    try:
        yield mine
        kept = keep
    finally:
        if not kept:
            mine.stop()


def _start(data: Path, modules: Sequence[Path], *, keep: bool) -> subprocess.Popen[bytes]:
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = [option for path in modules for option in ("--import", str(path))]
    with open(data / LOG_FILE, "wb", opener=_private) as log:
        return subprocess.Popen(
            (sys.executable, "-m", "mbs.client", "up", "--data", str(data), *options),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=HOME,
            start_new_session=True,  # Ctrl-C is for this process, which then stops the service
            preexec_fn=None if keep else die_with_parent(signal.SIGTERM),
        )


def _private(path: str, flags: int) -> int:
    """Open a file that nobody else on this machine may read."""
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
    """The error that the service did something it should not, with the end of its log."""
    lines = (data / LOG_FILE).read_text(errors="replace").splitlines()
    return ServiceFailed(
        "\n  ".join([f"The service {what}; the end of its log:", *lines[-LINES:]]),
        hint=f"The whole log is in {data / LOG_FILE}.",
    )


def manage(service: Running, *arguments: str) -> None:
    """Run an operators' command (``mbs-manager``) on the service's database.

    Raises:
        ServiceFailed: With what it said, when it fails.
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
