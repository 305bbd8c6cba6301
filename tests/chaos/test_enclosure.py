"""All processes of ``make chaos`` end with it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.processes import ROOT, wait_for

#: Runs a command as ``make chaos`` does.
_RUN = "import os, sys\nfrom tests.chaos.enclosure import run\nsys.exit(run(sys.argv[1:], os.environ))"
#: Starts a server in a session of its own, then waits; ``NAME`` is in its command line.
_SERVER = "setsid sh -c 'sleep 1000; : NAME' & echo started; wait"


def _enclosable() -> bool:
    command = ["unshare", "--mount-proc", "--pid", "--fork", "--kill-child", "true"]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not _enclosable(), reason="only root can enclose processes")


def start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def running(name: str) -> Sequence[int]:
    """Return the processes whose command line contains a name."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if name in path.read_text(errors="replace"):
                found.append(int(path.parent.name))
        except OSError:
            continue  # it has ended
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_no_process_survives_a_signal(number: signal.Signals) -> None:
    name = uuid.uuid4().hex
    with start("sh", "-c", _SERVER.replace("NAME", name)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        assert wait_for(lambda: running(f": {name}"), what="the server")
        process.send_signal(number)
        process.wait(60)
    wait_for(lambda: not running(name), what="the end of the server")


def test_a_second_signal_kills_a_command_that_does_not_stop() -> None:
    name = uuid.uuid4().hex
    stubborn = f"trap '' TERM; echo started; sleep 1000; sleep 1000; : {name}"
    with start("sh", "-c", stubborn) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        while process.poll() is None:
            process.terminate()
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
    wait_for(lambda: not running(name), what="the end of the command")


def test_the_exit_code_is_passed_on_and_ended_orphans_are_collected() -> None:
    # A server that seems to run after it was killed cannot be started again.
    orphan = "pid=$(sh -c 'sleep 0.1 & echo $!'); while kill -0 $pid 2>/dev/null; do sleep 0.01; done; exit 7"
    with start("sh", "-c", orphan) as process:
        assert process.wait(60) == 7


def test_a_signal_lets_the_run_stop_its_servers_once() -> None:
    program = (
        "import signal\nfrom tests.chaos.enclosure import leave_on_signals\nleave_on_signals()\n"
        "try:\n    print('started', flush=True)\n    signal.pause()\n"
        "finally:\n    signal.raise_signal(signal.SIGINT)\n    print('stopped', flush=True)\n"
    )
    with start(sys.executable, "-c", program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.terminate()
        assert process.stdout.readline() == "stopped\n"
        assert process.wait(60) == 128 + signal.SIGTERM
