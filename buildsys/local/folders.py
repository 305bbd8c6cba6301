"""Folders that several machines may share: atomic writes, and locks that end with their holder.

``flock`` locks belong to the open file, so they also separate threads of one process. On NFS, Linux
translates them into byte-range locks of the server (flock(2)). The kernel releases them however the holder
dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from buildsys.base import BuildSystemError, Job, Module, TaskState, TaskStatus

#: The attempts 1 to 99 of a component are the tasks ``component_id * 100 + attempt``. The numbers stay below
#: 2^31 for 21 million components, and the number of an attempt needs no lookup.
ATTEMPTS = 100


def task_number(component_id: int, attempt: int) -> int:
    """Return the number of a submission.

    Raises:
        BuildSystemError: ``too_many_attempts``.
    """
    if not 0 < attempt < ATTEMPTS:
        raise BuildSystemError(
            f"Attempt {attempt} of component build {component_id} exceeds the limit of {ATTEMPTS - 1}.",
            code="too_many_attempts",
            hint="Submit the module again.",
        )
    return component_id * ATTEMPTS + attempt


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it exists completely or not at all, also after a power failure."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def lock(path: Path, *, wait: bool = False, shared: bool = False) -> Iterator[bool]:
    """Hold the lock of a file and yield whether it was acquired; with ``wait`` it always is."""
    with path.open("a+b") as file:
        try:
            how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(file, how | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


@dataclass(frozen=True)
class Outcome:
    """The end of a submission, as in ``result.json``. Times are seconds since the epoch."""

    state: TaskState
    nvr: str = ""
    reason: str = ""
    started: float | None = None
    ended: float | None = None

    def dump(self) -> str:
        """Return the outcome as JSON."""
        return json.dumps(asdict(self) | {"state": self.state.value}, indent=1)

    @classmethod
    def load(cls, text: str) -> Self:
        """Parse an outcome from JSON."""
        data = json.loads(text)
        return cls(**data | {"state": TaskState(data["state"])})


def _load_job(data: dict[str, Any]) -> Job:
    module = Module(
        **data["module"]
        | {
            "arches": tuple(data["module"]["arches"]),
            "groups": {name: tuple(items) for name, items in data["module"]["groups"].items()},
        }
    )
    return Job(**data | {"module": module, "arches": tuple(data["arches"])})


@dataclass(frozen=True)
class TaskFolder:
    """The folder of one submission, accessible to the service's user only.

    ============= ==============================================================
    job.json      the job; exists as long as the folder
    lock          held while the build runs
    started       host and time, written by the worker that runs the build
    cancel        exists if the build was cancelled
    build.log     output of the source RPM and of the binary RPMs
    rpms/         the RPMs that were built
    result.json   the outcome, written last
    work/         the only folder that the build can write to; removed at the end
    ============= ==============================================================
    """

    path: Path

    @property
    def number(self) -> int:
        """The number of the submission."""
        return int(self.path.name)

    @property
    def log(self) -> Path:
        """The path of the log."""
        return self.path / "build.log"

    @property
    def rpms(self) -> Path:
        """The folder of the results."""
        return self.path / "rpms"

    @property
    def lock_file(self) -> Path:
        """The path of the lock file."""
        return self.path / "lock"

    @property
    def cancel_file(self) -> Path:
        """The path of the file that cancels the build."""
        return self.path / "cancel"

    @property
    def started_file(self) -> Path:
        """The path of the file that records the start."""
        return self.path / "started"

    def create(self, job: Job) -> bool:
        """Make the folder completely, unless it exists; return whether it was made."""
        if self.path.exists():
            return False
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=self.path.parent))
        write_atomically(new / "job.json", json.dumps(asdict(job), indent=1))
        try:
            new.rename(self.path)
        except OSError:
            # Another process was faster: rename never replaces a folder with content.
            (new / "job.json").unlink()
            new.rmdir()
            if not self.path.exists():
                raise
            return False
        return True

    def job(self) -> Job | None:
        """Return the job, or None if the submission does not exist."""
        try:
            return _load_job(json.loads((self.path / "job.json").read_text("utf-8")))
        except FileNotFoundError:
            return None

    def start(self) -> float:
        """Record that a worker runs the build; return the time."""
        now = time.time()
        write_atomically(self.started_file, json.dumps({"host": socket.gethostname(), "time": now}))
        return now

    def started(self) -> tuple[float | None, str]:
        """Return when and on which host the build started."""
        try:
            data = json.loads(self.started_file.read_text("utf-8"))
        except FileNotFoundError:
            return None, ""
        return data["time"], data["host"]

    def end(self, outcome: Outcome) -> None:
        """Record the outcome."""
        write_atomically(self.path / "result.json", outcome.dump())

    def outcome(self) -> Outcome | None:
        """Return the outcome, or None."""
        try:
            return Outcome.load((self.path / "result.json").read_text("utf-8"))
        except FileNotFoundError:
            return None

    def status(self, url: str = "") -> TaskStatus:
        """Return the status according to the files."""
        outcome = self.outcome()
        if outcome:
            return self._ended(outcome, url)
        started, host = self.started()
        if started is None:
            if not self.path.exists():
                return TaskStatus(self.number, TaskState.LOST, reason="There is no such submission.")
            return TaskStatus(self.number, TaskState.OPEN, url=url)
        with lock(self.lock_file, shared=True) as dead:
            pass
        if not dead:
            return TaskStatus(self.number, TaskState.OPEN, url=url, started=started)
        # It may have ended in the meantime.
        outcome = self.outcome()
        if outcome:
            return self._ended(outcome, url)
        reason = f"The worker on {host} that ran the build died."
        return TaskStatus(self.number, TaskState.LOST, reason=reason, url=url, started=started)

    def _ended(self, outcome: Outcome, url: str) -> TaskStatus:
        return TaskStatus(
            self.number,
            outcome.state,
            nvr=outcome.nvr,
            reason=outcome.reason,
            url=url,
            started=outcome.started,
            ended=outcome.ended,
        )
