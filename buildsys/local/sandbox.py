"""Runs a command without network, without privileges and without write access outside its work folder.

What the command sees: the host's ``/usr``, ``/etc`` and ``/opt`` read-only, with a *view* (a folder of
extracted packages) laid over them; ``/builddir``, its work folder, which holds HOME, ``/tmp`` and TMPDIR; and
nothing else. ``buildsys.local.jail`` does the work.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from buildsys.local import jail

#: Seconds between two looks at whether the build is to be stopped.
_POLL = 0.3
#: Seconds for the kernel to kill all processes of a build.
_PATIENCE = 30.0
_TAIL = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """Bounds of one build.

    :param seconds: wall-clock time of source RPM and binary RPMs together.
    :param log_bytes: size of the kept log; what is over it is cut out before its last 64 KiB.
    :param file_bytes: size of any single file.
    :param memory_bytes: address space of any single process; 0: no bound (sanitizers and Go reserve much).
    :param free_bytes: the build is stopped when the disk has less than this left.
    """

    seconds: float = 6 * 3600
    log_bytes: int = 32 << 20
    file_bytes: int = 16 << 30
    memory_bytes: int = 0
    processes: int = 4096
    open_files: int = 4096
    free_bytes: int = 512 << 20

    def rlimits(self) -> dict[str, int]:
        limits = {
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
        }
        return limits | ({"RLIMIT_AS": self.memory_bytes} if self.memory_bytes else {})


class Stopped(Exception):
    """The command was killed before its end; the message says why, for people."""


class BoundedLog:
    """Appends to a file up to a size; of what comes after, close() writes only the end."""

    def __init__(self, path: Path, limit: int) -> None:
        self._file: BinaryIO = path.open("ab")
        self._left = limit
        self._cut = 0
        self._tail = b""
        self._recent = b""

    def write(self, data: bytes) -> None:
        self._recent = (self._recent + data)[-4096:]
        self._file.write(data[: self._left])
        self._file.flush()
        over = data[self._left :]
        self._left -= len(data) - len(over)
        self._cut += len(over)
        self._tail = (self._tail + over)[-_TAIL:]

    def say(self, line: str) -> None:
        """A line of the service itself."""
        self.write(f"\n===== {line}\n".encode())

    def recent(self) -> list[str]:
        """The last few lines."""
        return self._recent.decode(errors="replace").split("\n")

    def close(self) -> None:
        missing = self._cut - len(self._tail)
        if missing:
            self._file.write(f"\n\n===== log cut: {missing} bytes left out here\n\n".encode())
        self._file.write(self._tail)
        self._file.close()

    def __enter__(self) -> BoundedLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Sandbox:
    """Where and how commands of one submission run.

    :param work: the only folder they can write to; seen as ``/builddir``. See :meth:`prepare`.
    :param mountpoint: an empty folder outside ``work``, on which the new root is put together.
    :param readonly: path inside -> folder of the host.
    :param user: number of the unprivileged user that commands become when the service runs as root.
    """

    work: Path
    mountpoint: Path
    view: Path | None = None
    readonly: Mapping[str, Path] = field(default_factory=dict)
    limits: Limits = Limits()
    user: int = 65534

    def prepare(self) -> None:
        """Make the work folder anew, and empty."""
        remove_tree(self.work)
        self.mountpoint.mkdir(parents=True, exist_ok=True)
        for folder in (self.work, self.work / "tmp"):
            folder.mkdir(parents=True, mode=0o755)
            if os.geteuid() == 0:
                os.chown(folder, self.user, self.user)

    def run(
        self,
        argv: Sequence[str],
        log: BoundedLog,
        *,
        deadline: float | None = None,
        stop: Callable[[], str] = str,
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Run a command to its end; answers its exit code (128 + signal when it was killed by one).

        :param deadline: on the clock of ``time.monotonic``.
        :param stop: asked several times a second; a reason that it answers ends the command.
        :raises Stopped: with that reason, or when a bound of time or disk space was hit.
        """
        rootless = os.geteuid() != 0
        spec = {
            "argv": list(argv),
            "env": {
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": "/builddir",
                "TMPDIR": "/builddir/tmp",
                "LANG": "C.UTF-8",
                **(env or {}),
            },
            "work": str(self.work),
            "mountpoint": str(self.mountpoint),
            "view": str(self.view) if self.view else "",
            "readonly": {inside: str(outside) for inside, outside in self.readonly.items()},
            "limits": self.limits.rlimits(),
            "user": self.user,
            "rootless": rootless,
            "parent": os.getpid(),
        }
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", jail.__file__, json.dumps(spec)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            env={},
            cwd="/",
            start_new_session=True,
        )
        try:
            self._follow(process, log, time.monotonic() + self.limits.seconds, deadline, stop)
            return process.wait()
        finally:
            _end(process)

    def _follow(
        self,
        process: subprocess.Popen[bytes],
        log: BoundedLog,
        longest: float,
        deadline: float | None,
        stop: Callable[[], str],
    ) -> None:
        """Copy output until its end. The pipe ends when pid 1 of the namespace, hence everything, is dead."""
        assert process.stdout is not None
        ends = min(longest, deadline or longest)
        looked = 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if selector.select(_POLL):
                    data = os.read(process.stdout.fileno(), 1 << 16)
                    if not data:
                        return
                    log.write(data)
                now = time.monotonic()
                if now - looked < _POLL:
                    continue
                looked = now
                reason = stop()
                if now > ends:
                    reason = f"it ran longer than the limit of {self.limits.seconds:.0f} seconds"
                elif shutil.disk_usage(self.work).free < self.limits.free_bytes:
                    reason = f"the disk under {self.work} is nearly full"
                if reason:
                    raise Stopped(reason)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop what still runs; nothing of it is left afterwards."""
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def remove_tree(path: Path) -> None:
    """Remove a folder that a build wrote to, whatever modes it left there. Nothing may run in it."""
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    if os.geteuid() != 0:
        os.chmod(path, 0o700)
        for folder, names, _ in os.walk(path):
            for name in names:
                inner = os.path.join(folder, name)
                if not os.path.islink(inner):
                    os.chmod(inner, 0o700)
    shutil.rmtree(path)
