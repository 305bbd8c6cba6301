"""Run a command without network, privileges and write access outside its work folder.

The command sees the host's ``/usr`` and selected entries of its ``/etc`` read-only (see ``rootfs``), with a
*view* (a folder of extracted packages) laid over them, and its work folder as ``/builddir``, which contains
HOME, ``/tmp`` and TMPDIR. It runs as a user of its own (``identities``), in a control group of its own
(``cgroups``), with a filter of system calls (``syscalls``). ``jail`` is the program that sets this up.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buildsys.base import BuildSystemError
from buildsys.local import cgroups, identities, rootfs, syscalls, trees
from buildsys.local.identities import Identity
from buildsys.local.logs import BoundedLog

__all__ = ["BoundedLog", "Limits", "Sandbox", "Stopped", "remove_tree"]

logger = logging.getLogger(__name__)

#: Seconds between two checks whether the build must stop.
_POLL = 0.3
#: Seconds for the kernel to kill all processes of a build, and for its work folder to change owner.
_PATIENCE = 60.0
#: Seconds for the launcher to make its namespaces.
_START = 30.0

#: Share of the machine's memory for all concurrent builds, unless a limit is configured.
_MEMORY_SHARE = 0.9
_LAUNCHER = "import sys; sys.path.insert(0, sys.argv[1]); from buildsys.local.jail import main; main()"
_SOURCE = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Limits:
    """Limits of one build.

    Attributes:
        seconds: Wall-clock time of source RPM and binary RPMs together.
        log_bytes: Max size of the log; if it is longer, the last 64 KiB are kept too.
        file_bytes: Max size of a file.
        memory_bytes: Memory of all processes together; 0 divides the machine's memory by ``jobs``. Without a
            control group it limits the address space of each process instead, and 0 means no limit, because
            sanitizers and Go reserve much.
        processes: Max concurrent processes and threads.
        open_files: Max open files of a process.
        disk_bytes: Total size of files. A build never gets more than its share of the free space.
        files: Max files and folders.
        free_bytes: Reserve: no build starts if the disk has less free space, and running builds are stopped
            below half of it.
        free_files: The same for the number of files (inodes).
        jobs: Max concurrent builds on this machine.
        users: Ids of users for builds if the service runs as root.
        shows: Additional files and folders of the host that builds see, read-only.
    """

    seconds: float = 6 * 3600
    log_bytes: int = 32 << 20
    file_bytes: int = 16 << 30
    memory_bytes: int = 0
    processes: int = 4096
    open_files: int = 4096
    disk_bytes: int = 50 << 30
    files: int = 1_000_000
    free_bytes: int = 1 << 30
    free_files: int = 20_000
    jobs: int = 1
    users: range = identities.DEFAULT_USERS
    shows: tuple[str, ...] = ()

    def rlimits(self, *, grouped: bool = False) -> dict[str, int]:
        """Return the limits of each process (setrlimit(2)).

        Args:
            grouped: Whether a control group limits the memory.
        """
        limits = {
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
        }
        return limits | ({"RLIMIT_AS": self.memory_bytes} if self.memory_bytes and not grouped else {})

    def memory(self) -> int:
        """Return the bytes of memory that all processes of a build may use together."""
        return self.memory_bytes or int(cgroups.machine_memory() * _MEMORY_SHARE) // self.jobs

    def short_of(self, folder: Path, *, share: float = 1) -> str:
        """Return which resource of a folder's disk is below a share of the reserve; empty if none is."""
        space = os.statvfs(folder)
        if space.f_bavail * space.f_frsize < self.free_bytes * share:
            return "disk space"
        # A file system without an inode table (btrfs) reports 0 of 0.
        return "inodes" if space.f_files and space.f_favail < self.free_files * share else ""

    def allowance(self, folder: Path) -> dict[str, int]:
        """Return the disk space and the number of files for a build that starts now."""
        space = os.statvfs(folder)
        free = max(0, space.f_bavail * space.f_frsize - self.free_bytes)
        allowed = {"disk": min(self.disk_bytes, free // self.jobs), "files": self.files}
        if space.f_files:
            allowed["files"] = min(self.files, max(0, space.f_favail - self.free_files) // self.jobs)
        return allowed


class Stopped(Exception):
    """The command was killed; the message says why."""


@dataclass(frozen=True)
class Sandbox:
    """The environment of the commands of one submission.

    Attributes:
        work: The only writable folder, visible as ``/builddir``. See :meth:`prepare`.
        mountpoint: An empty folder outside ``work``, on which the new root is mounted.
        view: Folder of extracted packages; None for none.
        readonly: Path inside -> folder of the host, which is made readable for all users.
        user: Id of the commands' user if the service runs as root; 0 for one that no other build has.
    """

    work: Path
    mountpoint: Path
    view: Path | None = None
    readonly: Mapping[str, Path] = field(default_factory=dict)
    limits: Limits = Limits()
    user: int = 0

    def prepare(self) -> None:
        """Make the work folder again, empty.

        Its parent folder is closed to other users, because programs in a build's folder might run with the
        rights of its user, which may be the service's.
        """
        remove_tree(self.work)
        self.mountpoint.mkdir(parents=True, exist_ok=True)
        self.work.mkdir(parents=True, mode=0o700)
        self.work.parent.chmod(0o700)
        (self.work / "tmp").mkdir(mode=0o700)

    def run(
        self,
        argv: Sequence[str],
        log: BoundedLog,
        *,
        deadline: float | None = None,
        stop: Callable[[], str] = str,
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Run a command and return its exit code (128 + signal if a signal killed it).

        Afterwards the content of the work folder belongs to the service, as regular files, folders and
        links.

        Args:
            deadline: Time limit, by ``time.monotonic``.
            stop: Called several times a second; if it returns a reason, the command is killed.

        Raises:
            Stopped: ``stop`` returned a reason, or a limit of time, memory or disk space was exceeded.
            BuildSystemError: There is no user for the build, or the service's data would be visible in it.
        """
        self._check_place()
        longest = time.monotonic() + self.limits.seconds
        ends = min(longest, deadline or longest)
        self._check_going_on(ends, stop)
        for folder in self.readonly.values():
            _let_read(folder)
        limits = self.limits
        with (
            identities.taken(limits.users, self.user) as identity,
            cgroups.made(f"module-build-service-{identity.name}", limits.memory(), limits.processes) as group,
        ):
            spec = self._spec(argv, env or {}, identity, limits.rlimits(grouped=bool(group.folders)))
            launcher = _Launcher(spec, identity, group)
            try:
                self._follow(launcher.process, log, ends, stop)
                code: int = launcher.process.wait()
            finally:
                launcher.end()
            if group.memory_kills() and code:
                raise Stopped(f"it used more than {limits.memory() >> 20} MiB of memory")
        if launcher.stopped:
            raise Stopped(launcher.stopped)
        return code

    def _check_place(self) -> None:
        folder = self.mountpoint.resolve()
        for shown in (*(f"/{name}" for name in rootfs.SHOWN), *self.limits.shows):
            if folder.is_relative_to(Path(shown).resolve()):
                raise BuildSystemError(
                    f"Builds see {shown}, so the service's data must not be below it.",
                    code="data_visible",
                    hint=f"Set DATA_DIR to another folder, or remove {shown} from LOCAL_BUILD_SHOWS.",
                )

    def _spec(
        self, argv: Sequence[str], env: Mapping[str, str], identity: Identity, rlimits: Mapping[str, int]
    ) -> dict[str, Any]:
        """Return the message for the launcher; see ``buildsys.local.jail``."""
        return {
            "argv": list(argv),
            "env": {
                "PATH": rootfs.PATH,
                "HOME": "/builddir",
                "TMPDIR": "/builddir/tmp",
                "LANG": "C.UTF-8",
                **env,
            },
            "work": str(self.work),
            "mountpoint": str(self.mountpoint),
            "view": str(self.view) if self.view else "",
            "readonly": {inside: str(outside) for inside, outside in self.readonly.items()},
            "shows": self.limits.shows,
            "limits": rlimits,
            **self.limits.allowance(self.work),
            "filter": syscalls.program().hex(),
            "inside": identity.inside,
        }

    def _follow(
        self,
        process: subprocess.Popen[bytes],
        log: BoundedLog,
        ends: float,
        stop: Callable[[], str],
    ) -> None:
        """Copy output until the pipe ends, which happens when all processes of the namespace are dead."""
        assert process.stdout is not None
        looked = 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if selector.select(_POLL):
                    data = os.read(process.stdout.fileno(), 1 << 16)
                    if not data:
                        return
                    log.write(data)
                if time.monotonic() - looked >= _POLL:
                    looked = time.monotonic()
                    self._check_going_on(ends, stop)

    def _check_going_on(self, ends: float, stop: Callable[[], str]) -> None:
        reason = stop()
        if time.monotonic() > ends:
            reason = f"it ran longer than the limit of {self.limits.seconds:.0f} seconds"
        elif not reason and (scarce := self.limits.short_of(self.work, share=0.5)):
            reason = f"the builder ran out of {scarce}"
        if reason:
            raise Stopped(reason)


class _Launcher:
    """A running ``buildsys.local.jail``.

    Args:
        spec: The message that it receives.
        identity: The build's user; None for all subordinate ids.
    """

    def __init__(self, spec: dict[str, Any], identity: Identity | None, group: cgroups.Group) -> None:
        self.stopped = ""
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(_START)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, _SOURCE],
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            env={},
            cwd="/",
            start_new_session=True,
        )
        theirs.close()
        mode = identity.mode if identity else "subordinate"
        try:
            group.add(self.process.pid)
            self._send(spec | {"parent": os.getpid(), "mode": mode})
            if mode == "subordinate" and self._receive().get("wants") == "ids":
                identities.give_ids(self.process.pid, identity)
                self._send({})
        except BaseException:
            self.end()
            raise

    def _send(self, message: dict[str, Any]) -> None:
        # If the launcher has ended, its exit code says so.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._channel.sendall(json.dumps(message).encode() + b"\n")

    def _receive(self) -> dict[str, str]:
        """Return the next message; an empty one at the end."""
        line = b""
        with suppress(OSError):
            while not line.endswith(b"\n"):
                data = self._channel.recv(1)
                if not data:
                    break
                line += data
        message: dict[str, str] = json.loads(line) if line.endswith(b"\n") else {}
        if "error" in message:
            logger.error("A build could not be isolated: %s", message["error"])
        return message

    def end(self) -> None:
        """Stop the launcher and all processes of the build."""
        self.process.terminate()
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        while message := self._receive():
            self.stopped = message.get("stopped", self.stopped)
        self._channel.close()
        if self.process.stdout:
            self.process.stdout.close()


def _let_read(folder: Path) -> None:
    """Make a folder readable for builds, which run as another user."""
    if folder.is_dir() and folder.stat().st_mode & 0o005 != 0o005:
        top = os.open(folder, trees.FOLDER)
        try:
            trees.let_read(top)
        finally:
            os.close(top)


def remove_tree(path: Path) -> None:
    """Remove a folder that a build wrote to, whatever its content. No process may be running in it.

    Raises:
        OSError: Part of it belongs to a user who is not a build's.
    """
    try:
        trees.remove(path)
    except PermissionError:
        # A worker died before the folder was returned from a subordinate user.
        if identities.means().mode != "subordinate":
            raise
        launcher = _Launcher({"remove": str(path.absolute())}, None, cgroups.Group())
        launcher.process.wait()
        launcher.end()
        trees.remove(path)
