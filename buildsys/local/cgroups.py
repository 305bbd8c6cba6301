"""Control groups that limit the memory, the number of processes and the processor time of each build.

Both cgroup versions are supported. A group is made beside or below that of this process, which requires root
or a delegated group (cgroups(7), systemd.resource-control(5)). Root may also use the top of the hierarchy.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_CONTROLLERS = ("memory", "pids")
#: Used if there is one. Without it, a build gets as much processor time as it has processes or sessions.
_PROCESSOR = "cpu"
#: Share of the processors, if they are busy, in relation to 100 for the service and for others.
_WEIGHT = 25
_TRIES = 10
#: Seconds to wait until the kernel allows to remove a group of dead processes.
_PATIENCE = 5.0


@dataclass(frozen=True)
class Place:
    """The folders in which groups of builds are made: one for each controller, the same for version 2."""

    version: int
    folders: tuple[Path, ...]


@dataclass
class Group:
    """The group of one build. A group without folders has no limits."""

    version: int = 0
    folders: list[Path] = field(default_factory=list)

    def add(self, process: int) -> None:
        """Move a process into the group; its later children are in it too."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(process), "utf-8")

    def memory_kills(self) -> int:
        """Return how many processes the kernel killed because the group exceeded its memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        for folder in self.folders:
            with suppress(OSError):
                lines = (folder / name).read_text("utf-8").splitlines()
                return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
        return 0

    def limit(self, memory: int, processes: int) -> None:
        """Set the limits of all processes together."""
        for folder in self.folders:
            if (folder / "pids.max").exists():
                (folder / "pids.max").write_text(str(processes), "utf-8")
            if self.version == 2:
                (folder / "memory.max").write_text(str(memory), "utf-8")
                if (folder / "cpu.weight").exists():
                    (folder / "cpu.weight").write_text(str(_WEIGHT), "utf-8")
                # The file is missing if the kernel does not account swap.
                with suppress(OSError):
                    (folder / "memory.swap.max").write_text("0", "utf-8")
                continue
            if (folder / "memory.limit_in_bytes").exists():
                (folder / "memory.limit_in_bytes").write_text(str(memory), "utf-8")
                with suppress(OSError):
                    (folder / "memory.memsw.limit_in_bytes").write_text(str(memory), "utf-8")
            if (folder / "cpu.shares").exists():
                # 1024 by default.
                (folder / "cpu.shares").write_text(str(1024 * _WEIGHT // 100), "utf-8")

    def remove(self) -> None:
        """Kill the processes in the group and remove it.

        Raises:
            OSError: The kernel does not allow to remove it.
        """
        ends = time.monotonic() + _PATIENCE
        for folder in self.folders:
            while folder.exists():
                try:
                    folder.rmdir()
                except OSError as error:
                    if error.errno not in (errno.EBUSY, errno.ENOTEMPTY) or time.monotonic() > ends:
                        raise
                    _kill(folder)
                    time.sleep(0.01)


def _kill(folder: Path) -> None:
    try:
        (folder / "cgroup.kill").write_text("1", "utf-8")
    # Version 1, and Linux before 5.14.
    except OSError:
        with suppress(OSError):
            for process in (folder / "cgroup.procs").read_text("utf-8").split():
                with suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)


@contextmanager
def made(name: str, memory: int, processes: int) -> Iterator[Group]:
    """Provide a group for the processes of a build; without limits if this machine allows no groups.

    Args:
        name: A unique name. A leftover group of that name is replaced.
    """
    found = place()
    group = Group(found.version, [folder / name for folder in found.folders]) if found else Group()
    group.remove()
    for folder in group.folders:
        folder.mkdir()
    try:
        group.limit(memory, processes)
        yield group
    finally:
        group.remove()


@cache
def place() -> Place | None:
    """Return the folders in which this process can make groups of builds; None if it cannot."""
    own = _own_groups()
    mounts = _mounts()
    if "" in mounts and (found := _place_of_version_2(mounts[""], own.get("", "/"))):
        return found
    if not all(controller in mounts for controller in _CONTROLLERS):
        return None
    folders = {}
    for controller in (*_CONTROLLERS, *([_PROCESSOR] if _PROCESSOR in mounts else [])):
        top = mounts[controller]
        here = top / own.get(controller, "/").lstrip("/")
        folders[controller] = here if here.is_dir() else top
    required = tuple(dict.fromkeys(folders[each] for each in _CONTROLLERS))
    candidates = (tuple(dict.fromkeys(folders.values())), required)
    return next((Place(1, each) for each in candidates if _can_make(Place(1, each))), None)


def _place_of_version_2(top: Path, own: str) -> Place | None:
    here = top / own.lstrip("/")
    if here == top or not here.is_dir():
        here, candidates = top, [top]
    else:
        candidates = [here, here.parent, *([top] if os.geteuid() == 0 else [])]
    for folder in candidates:
        if _enable(folder) and _can_make(Place(2, (folder,))):
            return Place(2, (folder,))
    if here != top and _settle(here) and _enable(here) and _can_make(Place(2, (here,))):
        return Place(2, (here,))
    return None


def _settle(here: Path) -> bool:
    """Move the processes of a delegated group into one below it, because it must be empty to have limits."""
    below = here / "module-build-service"
    try:
        below.mkdir(exist_ok=True)
        # Processes may start others in the meantime.
        for _ in range(_TRIES):
            processes = (here / "cgroup.procs").read_text("utf-8").split()
            if not processes:
                return True
            for process in processes:
                with suppress(ProcessLookupError):
                    (below / "cgroup.procs").write_text(process, "utf-8")
    except OSError:
        with suppress(OSError):
            below.rmdir()
    return False


def _enable(folder: Path) -> bool:
    """Enable controllers for the groups below a folder, which fails if the folder itself has processes."""
    try:
        control = folder / "cgroup.subtree_control"
        missing = set(_CONTROLLERS) - set(control.read_text("utf-8").split())
        if missing:
            control.write_text(" ".join(f"+{controller}" for controller in missing), "utf-8")
        # It is missing where it is not delegated, or where there are real-time processes.
        with suppress(OSError):
            control.write_text(f"+{_PROCESSOR}", "utf-8")
    except OSError:
        return False
    return True


def _can_make(candidate: Place) -> bool:
    """Return whether a group can be made, limited and entered in a place."""
    name = f"module-build-service-try-{os.getpid()}"
    group = Group(candidate.version, [folder / name for folder in candidate.folders])
    try:
        for folder in group.folders:
            folder.mkdir(exist_ok=True)
        group.limit(1 << 30, 64)
        with subprocess.Popen(["sleep", "60"]) as member:
            try:
                group.add(member.pid)
            finally:
                member.kill()
    except OSError:
        return False
    finally:
        with suppress(OSError):
            group.remove()
    return True


def _own_groups() -> dict[str, str]:
    """Return controller -> group of this process; the controller of version 2 is ``""``."""
    groups: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), path)
    return groups


def _mounts() -> dict[str, Path]:
    """Return controller -> mount point of its hierarchy; the controller of version 2 is ``""``."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        where = Path(before.split(" ")[4])
        if kind == "cgroup2":
            found.setdefault("", where)
        elif kind == "cgroup":
            for controller in (*_CONTROLLERS, _PROCESSOR):
                if controller in options.split(","):
                    found.setdefault(controller, where)
    return found


def machine_memory() -> int:
    """Return the bytes of memory of this machine or of this process's group, whichever is less."""
    text = Path("/proc/meminfo").read_text("utf-8")
    total = next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemTotal:"))
    own, mounts = _own_groups(), _mounts()
    for controller, name in (("", "memory.max"), ("memory", "memory.limit_in_bytes")):
        if controller in mounts:
            with suppress(OSError, ValueError):
                file = mounts[controller] / own.get(controller, "/").lstrip("/") / name
                total = min(total, int(file.read_text("utf-8")))
    return total
