"""End all processes of a run with it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command with mounts and process ids of its own, and return its exit code.

    When the command ends, the kernel kills all processes that it started and removes its mounts, also if this
    process is killed. A signal is passed on, so that the command can stop its servers. A second one kills
    them.

    Args:
        command: The command; only root can run it.
        environ: Its environment.
    """
    # sh is process 1: it ignores the signals, and collects the ended processes of servers that were killed.
    enclosed = [
        "unshare",
        "--mount-proc",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        '"$@"; exit $?',
        "sh",
    ]
    child: subprocess.Popen[bytes] | None = None
    received: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        received.append(number)
        if child is not None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, number if len(received) == 1 else signal.SIGKILL)

    for each in SIGNALS:
        signal.signal(each, pass_on)
    child = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *enclosed, *command], env=environ, start_new_session=True
    )
    if received:
        child.kill()
    return child.wait()


def leave_on_signals() -> None:
    """Let the first signal raise ``SystemExit`` in the main thread; later ones are ignored."""

    def leave(number: int, _: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for each in SIGNALS:
        signal.signal(each, leave)
