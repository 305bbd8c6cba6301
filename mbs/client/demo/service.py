"""The standalone service, for as long as something needs it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
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


@contextmanager
def service(data: Path, *, keep: bool) -> Iterator[Running]:
    """The service on a data folder: the one that runs there, or a new one.

    A new one writes its log to ``up.log`` and ends with this block, or with this process.

    :param keep: leave it running.
    :raises ServiceFailed: when it does not start.
    """
    found = running(data)
    if found:
        yield found
        return
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data / LOG_FILE).open("wb") as log:
        process = subprocess.Popen(
            (sys.executable, "-m", "mbs.client", "up", "--data", str(data)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=HOME,
            start_new_session=True,  # Ctrl-C is for this process, which then stops the service
            preexec_fn=None if keep else die_with_parent(signal.SIGTERM),
        )
    kept = False
    try:
        yield _wait_until_ready(process, data)
        kept = keep
    finally:
        if not kept:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], data: Path) -> Running:
    end = time.monotonic() + START_TIME
    while time.monotonic() < end and process.poll() is None:
        found = running(data)
        if found and found.pid == process.pid:
            return found
        time.sleep(0.1)
    raise failure("did not become ready" if process.returncode is None else "ended", data)


def failure(what: str, data: Path) -> ServiceFailed:
    """The error that the service did something it should not, with the end of its log."""
    lines = (data / LOG_FILE).read_text(errors="replace").splitlines()
    return ServiceFailed(
        "\n  ".join([f"The service {what}; the end of its log:", *lines[-LINES:]]),
        hint=f"The whole log is in {data / LOG_FILE}.",
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIME)
    except subprocess.TimeoutExpired:
        process.kill()  # its children die with it
        process.wait()


def manage(service: Running, *arguments: str) -> None:
    """Run an operators' command (``mbs-manager``) on the service's database.

    :raises ServiceFailed: with what it said, when it fails.
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
