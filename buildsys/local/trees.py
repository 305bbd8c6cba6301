"""Walks folders that a build wrote to: of any depth, with any names and modes, links never followed.

Every system call takes a name relative to an open folder, and the number of open folders is fixed, so neither
the length of a path nor the number of open files bounds the depth. Standard library only, as
``buildsys.local.jail`` imports it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
#: Open files that one measurement looks at, of all processes of a build together.
_MOST_OPEN_FILES = 50_000


#: Levels whose folders stay open: below them, what is moved while it is measured is lost to the measurement.
_HELD = 64


class TreeChanged(Exception):
    """A folder was moved while its tree was walked."""


def _walk(
    top: int,
    visit: Callable[[int], list[str]],
    leave: Callable[[int, str], None] | None = None,
    *,
    unlock: bool = True,
) -> None:
    """Visit an open folder and all below it.

    Args:
        visit: Gets an open folder, answers the names of the folders in it to visit.
        leave: Gets the folder above and a name when all below that name was visited.
        unlock: Give the owner access to folders without it; only where nothing else writes
            meanwhile. With False, what was moved away meanwhile is passed over.

    Raises:
        TreeChanged: When ``..`` of a folder is not where it was entered from.
    """
    here = os.open(".", FOLDER, dir_fd=top)
    above: list[_Level] = []
    try:
        names = visit(here)
        while True:
            if names:
                name = names.pop()
                below = _enter(here, name, unlock)
                if below is None:
                    continue
                above.append(_Level(names, name, _identity(here), here if len(above) < _HELD else None))
                if len(above) > _HELD:
                    os.close(here)
                here = below
                names = visit(here)
            elif above:
                level = above.pop()
                back = _go_up(here, level)
                if back is None and unlock:
                    raise TreeChanged
                while back is None:
                    level = above.pop()
                    back = level.held
                os.close(here)
                here, names = back, level.names
                if leave:
                    leave(here, level.name)
            else:
                return
    finally:
        for folder in (here, *(level.held for level in above)):
            if folder is not None:
                os.close(folder)


class _Level(NamedTuple):
    """A folder above the one that is open.

    Attributes:
        names: Of the folders in it that are still to be visited.
        name: Of the folder that was entered.
        held: It itself, open; of the uppermost levels only.
    """

    names: list[str]
    name: str
    identity: tuple[int, int]
    held: int | None


def _go_up(here: int, level: _Level) -> int | None:
    """Open the folder above; None when the open one has another above it by now."""
    if level.held is not None:
        return level.held
    try:
        back = os.open("..", FOLDER, dir_fd=here)
    except OSError:
        return None
    if _identity(back) == level.identity:
        return back
    os.close(back)
    return None


def _enter(folder: int, name: str, unlock: bool) -> int | None:
    """Open a folder in a folder; None when something else is there by now, or it is closed to us."""
    try:
        return os.open(name, FOLDER, dir_fd=folder)
    except PermissionError:
        if not unlock:
            return None
        os.chmod(name, 0o700, dir_fd=folder)
        return os.open(name, FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise


def _identity(folder: int) -> tuple[int, int]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino


def remove(path: str | os.PathLike[str]) -> None:
    """Remove whatever is at a path. Nothing may run in it.

    Raises:
        PermissionError: When part of it belongs to another user.
    """
    if not os.path.lexists(path):
        return
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
        return
    with suppress(PermissionError):
        os.chmod(path, 0o700)
    top = os.open(path, FOLDER)
    try:
        _walk(top, _unlink_files, lambda folder, name: os.rmdir(name, dir_fd=folder))
    finally:
        os.close(top)
    os.rmdir(path)


def _unlink_files(folder: int) -> list[str]:
    if os.fstat(folder).st_mode & 0o700 != 0o700:
        os.fchmod(folder, 0o700)
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                names.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=folder)
    return names


def give(top: int, user: int, group: int) -> None:
    """Give a tree that nothing runs in to a user, as plain files: what could act on others does not survive.

    Set-user-id and set-group-id bits and file capabilities are taken away; device nodes, sockets and pipes
    are removed.
    """

    def visit(folder: int) -> list[str]:
        os.fchown(folder, user, group)
        os.fchmod(folder, stat.S_IMODE(os.fstat(folder).st_mode) & 0o777 | 0o700)
        names = []
        with os.scandir(folder) as entries:
            for entry in entries:
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    # Its own turn comes, and it must be possible to open it.
                    os.chown(entry.name, user, group, dir_fd=folder, follow_symlinks=False)
                    names.append(entry.name)
                elif stat.S_ISREG(mode):
                    # chown(2) takes file capabilities away, and the bits from files that can be run.
                    os.chown(entry.name, user, group, dir_fd=folder, follow_symlinks=False)
                    if stat.S_IMODE(mode) & ~0o777:
                        os.chmod(entry.name, stat.S_IMODE(mode) & 0o777, dir_fd=folder)
                elif stat.S_ISLNK(mode):
                    os.chown(entry.name, user, group, dir_fd=folder, follow_symlinks=False)
                else:
                    os.unlink(entry.name, dir_fd=folder)
        return names

    _walk(top, visit)


def let_read(top: int) -> None:
    """Let all users read a tree, which a service with a strict umask has made for builds to read."""

    def visit(folder: int) -> list[str]:
        os.fchmod(folder, stat.S_IMODE(os.fstat(folder).st_mode) | 0o555)
        names = []
        with os.scandir(folder) as entries:
            for entry in entries:
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    names.append(entry.name)
                elif stat.S_ISREG(mode):
                    os.chmod(entry.name, stat.S_IMODE(mode) | 0o444, dir_fd=folder)
        return names

    _walk(top, visit)


def measure(top: int, most_files: int, processes: int | None = None) -> tuple[int, int]:
    """Return the bytes and the number of files that a tree takes up, while others write to it.

    Args:
        most_files: The walk ends when there are more, so that its time is bounded too.
        processes: An open /proc, for files that were removed and are still open there.
    """
    used = files = 0

    def visit(folder: int) -> list[str]:
        nonlocal used, files
        names = []
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:  # removed meanwhile
                    continue
                files += 1
                used += found.st_blocks * 512 // max(1, found.st_nlink if entry.is_file() else 1)
                if files > most_files:
                    raise _Enough
                if stat.S_ISDIR(found.st_mode):
                    names.append(entry.name)
        return names

    with suppress(_Enough):
        _walk(top, visit, unlock=False)
    if processes is not None:
        used += _removed_but_open(processes, os.fstat(top).st_dev)
    return used, files


class _Enough(Exception):
    pass


def _removed_but_open(processes: int, device: int) -> int:
    """Return the bytes of a device's files that only open file descriptors still hold."""
    sizes: dict[int, int] = {}
    looked = 0
    for process in filter(str.isdecimal, os.listdir(processes)):
        with suppress(OSError):
            folder = os.open(f"{process}/fd", FOLDER, dir_fd=processes)
            try:
                names = os.listdir(folder)[: _MOST_OPEN_FILES - looked]
                looked += len(names)
                for name in names:
                    with suppress(OSError):
                        found = os.stat(name, dir_fd=folder)
                        if found.st_nlink == 0 and found.st_dev == device and stat.S_ISREG(found.st_mode):
                            sizes[found.st_ino] = found.st_blocks * 512
            finally:
                os.close(folder)
    return sum(sizes.values())
