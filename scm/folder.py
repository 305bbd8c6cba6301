"""Temporary folders that outlast a killed process only until the next one makes such a folder.

Each is locked (flock(2)) by the process that uses it; the kernel drops the lock with the process.
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
#: seconds after which a folder must have been locked by whoever made it
_YOUNG = 60.0


class LockedFolder(tempfile.TemporaryDirectory[str]):
    """A temporary folder for one repository."""

    def __init__(self) -> None:
        _remove_abandoned()
        super().__init__(prefix=PREFIX, ignore_cleanup_errors=True)
        descriptor = os.open(self.name, os.O_RDONLY | os.O_DIRECTORY)
        weakref.finalize(self, os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _remove_abandoned() -> None:
    """Remove this user's folders that nobody locks."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # It may be another user's, in use, or be removed by somebody else now.
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
