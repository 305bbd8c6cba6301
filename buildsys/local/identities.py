"""Assign a separate user to each build that runs on this machine.

The root user takes one from a range of ids (``LOCAL_BUILD_FIRST_USER``). Other users take one of the
subordinate ids that root has granted (subuid(5)), with newuidmap(1). An id is reserved by locking a file on
this machine, so it becomes free if its holder dies.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from buildsys.base import BuildSystemError
from buildsys.local.folders import lock

Mode = Literal["range", "subordinate", "bare"]
#: Ids below the subordinate ids of useradd(8), and above those of accounts (login.defs(5)), of systemd's
#: dynamic users and of Debian's packages. tar can store them in every format.
DEFAULT_USERS = range(99_000, 100_000)
#: The user that a build sees itself as, if a user namespace hides the real id.
INSIDE = 1000
_NOBODY = 65534
_SUBUID, _SUBGID = Path("/etc/subuid"), Path("/etc/subgid")
_WANTED, _FIRST = 65_536, 100_000
_HELPERS = ("newuidmap", "newgidmap")


@dataclass(frozen=True)
class Means:
    """The users and groups for builds on this machine.

    Attributes:
        users: Ids of users.
        groups: Ids of groups in the same order.
        lacking: Why there are none; empty if there are.
        remedy: How to provide them.
    """

    mode: Mode
    users: range = range(0)
    groups: range = range(0)
    lacking: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Identity:
    """The user of one build.

    Attributes:
        name: Unique among all running builds on this machine.
        user: Id on the host.
        group: Id on the host.
    """

    mode: Mode
    name: str
    user: int
    group: int

    @property
    def inside(self) -> tuple[int, int]:
        """User and group as the build sees them."""
        return (self.user, self.group) if self.mode == "range" else (INSIDE, INSIDE)


def means(users: range = DEFAULT_USERS) -> Means:
    """Find out how builds can get users of their own.

    Args:
        users: The ids for builds if the service runs as root.
    """
    if os.geteuid() == 0:
        if users and all(_is_mapped(kind, users) for kind in ("uid", "gid")):
            return Means("range", users, users)
        text = f"{users.start}-{users.stop - 1}"
        return Means(
            "range",
            lacking=f"The user ids {text} for builds do not exist in this container",
            remedy="Set LOCAL_BUILD_FIRST_USER to the first of enough ids in /proc/self/uid_map.",
        )
    absent = [helper for helper in _HELPERS if not shutil.which(helper)]
    if absent:
        return Means(
            "bare",
            lacking=f"The command {absent[0]} is not installed",
            remedy="Run as root: apt-get install uidmap, or on Fedora: dnf install shadow-utils.",
        )
    granted, groups = _granted(_SUBUID), _granted(_SUBGID)
    if not (granted and groups):
        return Means(
            "bare",
            lacking=f"{_account()} has no subordinate user and group ids",
            remedy=f"Run as root: {grant_command()}",
        )
    return Means("subordinate", granted, groups)


def grant_command() -> str:
    """Return the command that grants this process's user unused subordinate ids."""
    first = max([_FIRST, *(each.stop for path in (_SUBUID, _SUBGID) for _, each in _entries(path))])
    ids = f"{first}-{first + _WANTED - 1}"
    return f"usermod --add-subuids {ids} --add-subgids {ids} {_account()}"


def conflicts(users: range) -> str:
    """Return which of the ids for builds are used otherwise on this machine; empty if none are."""
    for path in (_SUBUID, _SUBGID):
        for owner, ids in _entries(path):
            if users.start < ids.stop and ids.start < users.stop:
                return f"{path} gives some of these to {owner}"
    for number in (users.start, users.stop - 1):
        try:
            return f"{pwd.getpwuid(number).pw_name} is one of these ({number})"
        except KeyError:
            continue
    return ""


@contextmanager
def taken(users: range = DEFAULT_USERS, user: int = 0) -> Iterator[Identity]:
    """Reserve a user that no other running build has.

    Args:
        user: A specific id that root chooses; 0 for any of ``users``.

    Raises:
        BuildSystemError: ``no_free_user``: all are in use.
    """
    found = means(users)
    count = min(len(found.users), len(found.groups)) or len(users)
    folder = _lock_folder()
    for number in range(count):
        with lock(folder / str(number)) as mine:
            if mine:
                yield _identity(found, folder, number, user)
                return
    raise BuildSystemError(
        f"All {count} users for builds are in use on this machine.",
        code="no_free_user",
        hint="Raise LOCAL_BUILD_USERS, or grant more subordinate ids as root.",
    )


def _identity(found: Means, folder: Path, number: int, user: int) -> Identity:
    # Another chroot or container has other locks, but may share resources that are named after the build.
    place = folder.stat()
    name = f"{place.st_dev:x}-{place.st_ino:x}-{number}"
    if found.mode == "range":
        own = user or (found.users[number] if found.users else _NOBODY)
        return Identity("range", name, own, own)
    if found.mode == "subordinate":
        return Identity("subordinate", name, found.users[number], found.groups[number])
    return Identity("bare", name, os.getuid(), os.getgid())


def give_ids(process: int, identity: Identity | None = None) -> None:
    """Write the id maps of a process that has just made a user namespace.

    Args:
        identity: Map root and this user; None: root and all subordinate ids.

    Raises:
        BuildSystemError: ``no_subordinate_ids``: the system refuses.
    """
    found = means()
    for helper, own, ids, one in (
        ("newuidmap", os.getuid(), found.users, identity and identity.user),
        ("newgidmap", os.getgid(), found.groups, identity and identity.group),
    ):
        inner = (1, ids.start, len(ids)) if one is None else (INSIDE, one, 1)
        argv = [shutil.which(helper) or helper, str(process), "0", str(own), "1", *map(str, inner)]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            raise BuildSystemError(f"{helper} cannot be run: {error}", code="no_subordinate_ids") from error
        if done.returncode:
            raise BuildSystemError(
                f"{helper} refuses to give a build its user: {done.stderr.strip()[:200]}",
                code="no_subordinate_ids",
                hint="See /etc/subuid and /etc/subgid; the service must run with its account's main group.",
            )


def _is_mapped(kind: str, ids: range) -> bool:
    """Return whether ids exist in this process's user namespace."""
    lines = Path(f"/proc/self/{kind}_map").read_text("utf-8").splitlines()
    spans = [(int(first), int(first) + int(count)) for first, _, count in map(str.split, lines)]
    return any(first <= ids.start and ids.stop <= end for first, end in spans)


@cache
def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _entries(path: Path) -> list[tuple[str, range]]:
    """Return owner and ids of each line in a file like subuid(5)."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    parts = [line.split(":") for line in lines if not line.startswith("#")]
    return [
        (part[0], range(int(part[1]), int(part[1]) + int(part[2])))
        for part in parts
        if len(part) == 3 and part[1].isdecimal() and part[2].strip().isdecimal()
    ]


def _granted(path: Path) -> range:
    """Return the largest range of subordinate ids of this process's user."""
    names = {_account(), str(os.geteuid())}
    return max((ids for owner, ids in _entries(path) if owner in names), key=len, default=range(0))


def _lock_folder() -> Path:
    """Return a folder on this machine that only this user can write to."""
    if os.geteuid() == 0:
        folder = Path("/run/module-build-service-users")
    else:
        runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}")
        base = runtime if _is_own(runtime) else Path(tempfile.gettempdir())
        folder = base / f"module-build-service-users-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if not _is_own(folder):
        raise BuildSystemError(
            f"{folder} belongs to another user.",
            code="no_free_user",
            hint="Remove it, or set XDG_RUNTIME_DIR to a folder that only the service's user can write to.",
        )
    return folder


def _is_own(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
