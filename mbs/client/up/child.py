"""One program as a child process that cannot outlive its supervisor."""

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
#: Nobody else on this machine may read what a program writes: databases, schedules, logs.
PRIVATE = 0o077
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """For ``preexec_fn``: the kernel sends ``number`` to the process when this one dies, however it does.

    At the death of the thread that starts it, to be exact (prctl(2), PR_SET_PDEATHSIG).
    """
    parent = os.getpid()

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)

    return prepare


@dataclass(frozen=True)
class Program:
    """What is to be run.

    Attributes:
        needs: Names of the programs that must be ready before it starts, and stop after it.
        after: Names of the programs that must be ready before it starts.
        once: It ends by itself, and is ready when it has ended well.
        ready: Asked until it says yes.
        says: It is ready when it has written a line with this. Without both it is when it runs.
        grace: Seconds between the request to end and the kill.
        umask: Of the files that it makes; -1: that of this process.
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
        """Whether it is ready, as far as one can know without having read what it writes."""
        if self.ready:
            return self.ready()
        return not self.once and not self.says


class Child:
    """A running program, in a process group of its own.

    Of its own, because Ctrl-C reaches the whole foreground group at once: a broker that ends together
    with the workers that need it would make the end of both unclean.

    Args:
        descriptors: Open files that the program inherits under the same numbers.
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
        return self._process.pid

    def read(self) -> list[str] | None:
        """Lines that it has written since; None when it will not write any more."""
        try:
            data = os.read(self.pipe.fileno(), 65536)
        except BlockingIOError:
            return []
        return self.lines.feed(data) if data else None

    def ended(self) -> int | None:
        """Its exit code (negative: a signal) when it has ended; all it has started ends with it."""
        if self._process.returncode is None:
            # Looked at without reaping: until then its number cannot become another process's group.
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            self.kill()
        return self._process.wait()

    def last_lines(self) -> list[str]:
        """What it had written and nobody has read, after its end."""
        lines = []
        while found := self.read():
            lines += found
        self.pipe.close()
        return lines + self.lines.flush()

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it and all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
