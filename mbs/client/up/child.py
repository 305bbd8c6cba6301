"""A program as a child process that cannot outlive its supervisor."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mbs.client.up.log import Lines

_PR_SET_PDEATHSIG = 1
#: umask that hides new files from other users: databases, schedules, logs.
PRIVATE = 0o077
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """Return a ``preexec_fn`` that has the kernel send a signal to the child when this process dies.

    More precisely, when the thread dies that starts the child (prctl(2), PR_SET_PDEATHSIG).
    """
    parent = os.getpid()

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # the parent died before prctl() was called
            os._exit(1)

    return prepare


@dataclass(frozen=True)
class Program:
    """A program to run.

    Attributes:
        needs: Programs that must be ready before it starts, and that stop after it.
        after: Programs that must be ready before it starts.
        once: It ends by itself, and is ready if it ended successfully.
        ready: Called repeatedly until it returns True.
        says: It is ready when it has written a line with this text. Without ``ready`` and ``says``, it is
            ready when it runs.
        grace: Seconds between the request to stop and the kill.
        umask: The umask of the program; -1 for that of this process.
    """

    name: str
    argv: Sequence[str]
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    once: bool = False
    ready: Callable[[], bool] | None = None
    says: str = ""
    grace: float = 10.0
    umask: int = PRIVATE

    def is_ready_now(self) -> bool:
        """Return whether it is ready, without regard to its output."""
        if self.ready:
            return self.ready()
        return not self.once and not self.says


class Child:
    """A running program in its own process group.

    Ctrl-C reaches all processes of the foreground group at once. In one group, the broker would end together
    with the workers that need it for a clean stop.

    Args:
        descriptors: Open files that the program inherits.
    """

    def __init__(
        self, program: Program, environment: Mapping[str, str], folder: Path, descriptors: Sequence[int] = ()
    ) -> None:
        self.program = program
        self.lines = Lines()
        self._process = subprocess.Popen(
            program.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            pass_fds=descriptors,
            process_group=0,
            umask=program.umask,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        assert self._process.stdout is not None
        self.pipe = self._process.stdout
        os.set_blocking(self.pipe.fileno(), False)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def read(self) -> list[str] | None:
        """Return new lines of output, or None if its output is closed."""
        try:
            data = os.read(self.pipe.fileno(), 65536)
        except BlockingIOError:
            return []
        return self.lines.feed(data) if data else None

    def ended(self) -> int | None:
        """Return its exit code (negative: a signal) if it has ended, otherwise None.

        Processes that it started are killed.
        """
        if self._process.returncode is None:
            # WNOWAIT does not reap the process, so that its id cannot be reused before the group is killed.
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            self.kill()
        return self._process.wait()

    def last_lines(self) -> list[str]:
        """Return the unread rest of its output, after its end."""
        lines = []
        while found := self.read():
            lines += found
        self.pipe.close()
        return lines + self.lines.flush()

    def terminate(self) -> None:
        """Request its stop."""
        self._process.terminate()

    def kill(self) -> None:
        """Kill it and all processes that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
