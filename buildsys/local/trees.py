"""Walk folders that a build wrote to, with any depth, names and modes, without following links.

Every system call uses a name relative to an open folder, and the number of open folders is limited, so
neither path lengths nor open files limit the depth. ``buildsys.local.jail`` imports this module, so it uses
only the standard library.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
#: Max open files of all processes of a build that one measurement examines.
_MAX_OPEN_FILES = 50_000


#: Levels whose folders stay open. Below them, folders that are moved during a measurement are not counted.
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
    """Visit an open folder and all folders below it.

    Args:
        visit: Receives an open folder and returns the names of subfolders to visit.
        leave: Receives the parent folder and a name when everything below that name was visited.
        unlock: Give the owner access to folders that lack it, which is safe only if no other process writes.
            If False, folders that were moved are skipped.

    Raises:
        TreeChanged: ``..`` of a folder is not the folder that it was entered from.
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
    """A parent of the open folder.

    Attributes:
        names: Names of subfolders that are still to be visited.
        name: Name of the subfolder that was entered.
        held: The open folder; None below the topmost levels.
    """

    names: list[str]
    name: str
    identity: tuple[int, int]
    held: int | None


def _go_up(here: int, level: _Level) -> int | None:
    """Open the parent folder; return None if the open folder was moved."""
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
    """Open a subfolder; return None if it was replaced or is not accessible."""
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
    """Remove a file or folder. No process may be running in it.

    Raises:
        PermissionError: Part of it belongs to another user.
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
    """Give a tree without running processes to a user, as regular files, folders and links.

    Set-user-id and set-group-id bits and file capabilities are removed, and device nodes, sockets and pipes
    are deleted.
    """

    def visit(folder: int) -> list[str]:
        os.fchown(folder, user, group)
        os.fchmod(folder, stat.S_IMODE(os.fstat(folder).st_mode) & 0o777 | 0o700)
        names = []
        with os.scandir(folder) as entries:
            for entry in entries:
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    # It is visited later, and must be accessible then.
                    os.chown(entry.name, user, group, dir_fd=folder, follow_symlinks=False)
                    names.append(entry.name)
                elif stat.S_ISREG(mode):
                    # chown(2) removes file capabilities, and the bits from executable files.
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
    """Make a tree readable for all users, because the service may run with a strict umask."""

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
    """Return the bytes and the number of files of a tree while other processes write to it.

    Args:
        most_files: Stop when there are more, which limits the time.
        processes: An open /proc, to count files that were removed but are still open.
    """
    used = files = 0

    def visit(folder: int) -> list[str]:
        nonlocal used, files
        names = []
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                # It was removed in the meantime.
                except OSError:
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
    """Return the bytes of removed files on a device that are still open."""
    sizes: dict[int, int] = {}
    looked = 0
    for process in filter(str.isdecimal, os.listdir(processes)):
        with suppress(OSError):
            folder = os.open(f"{process}/fd", FOLDER, dir_fd=processes)
            try:
                names = os.listdir(folder)[: _MAX_OPEN_FILES - looked]
                looked += len(names)
                for name in names:
                    with suppress(OSError):
                        found = os.stat(name, dir_fd=folder)
                        if found.st_nlink == 0 and found.st_dev == device and stat.S_ISREG(found.st_mode):
                            sizes[found.st_ino] = found.st_blocks * 512
            finally:
                os.close(folder)
    return sum(sizes.values())
