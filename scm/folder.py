"""Temporary folders that are removed even if their process is killed.

The process that uses a folder holds a lock on it (flock(2)), which the kernel releases when the process
ends. The next process that creates such a folder removes the unlocked ones.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path

PREFIX = "mbs-scm-"
#: Seconds after which the creator of a folder must have locked it.
_YOUNG = 60.0


class LockedFolder(tempfile.TemporaryDirectory[str]):
    """A temporary folder for one repository, locked by this process."""

    def __init__(self) -> None:
        _remove_abandoned()
        super().__init__(prefix=PREFIX, ignore_cleanup_errors=True)
        descriptor = os.open(self.name, os.O_RDONLY | os.O_DIRECTORY)
        weakref.finalize(self, os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _remove_abandoned() -> None:
    """Remove this user's unlocked folders."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # The folder may belong to another user, be in use, or be removed concurrently.
        with suppress(OSError):
            _remove_when_abandoned(path)


def _remove_when_abandoned(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        state = os.fstat(descriptor)
        if state.st_uid == os.geteuid() and state.st_mtime < time.time() - _YOUNG:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
    finally:
        os.close(descriptor)
