"""Folders that several machines may share: written atomically, locked with locks that die with their holder.

``flock`` is used because the lock belongs to the open file, hence also keeps threads of one process apart;
Linux turns it into a byte-range lock of the server on NFS (flock(2)), and the kernel drops it when its holder
dies, however it dies.
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

#: A component's attempts 1 to 99 are its tasks ``component_id * 100 + attempt``: numbers stay below 2^31
#: for 21 million components, and the same attempt is the same task without asking anybody.
ATTEMPTS = 100


def task_number(component_id: int, attempt: int) -> int:
    """The number of a submission.

    Raises:
        BuildSystemError: ``too_many_attempts``.
    """
    if not 0 < attempt < ATTEMPTS:
        raise BuildSystemError(
            f"The component build {component_id} cannot be tried a {attempt}th time.",
            code="too_many_attempts",
            hint="Submit the module build anew.",
        )
    return component_id * ATTEMPTS + attempt


def write_atomically(path: Path, text: str) -> None:
    """Write a file that is either wholly there or not at all, also after a power failure."""
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
    """Hold the lock of a file; answers whether it was got (without ``wait`` it may be held by another)."""
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
    """How a submission ended; the content of ``result.json``. Times are seconds since the epoch."""

    state: TaskState
    nvr: str = ""
    reason: str = ""
    started: float | None = None
    ended: float | None = None

    def dump(self) -> str:
        return json.dumps(asdict(self) | {"state": self.state.value}, indent=1)

    @classmethod
    def load(cls, text: str) -> Self:
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
    """The folder of one submission, closed to all users but the service's.

    ============= ==============================================================
    job.json      what is to be built; there as long as the folder is
    lock          held while the build runs
    started       host and time, written by the worker that took the build
    cancel        there when somebody asked that the build be stopped
    build.log     output of the source RPM and of the binary RPMs
    rpms/         what was built
    result.json   the end, written last
    work/         the only folder that the build itself can write to; removed at the end
    ============= ==============================================================
    """

    path: Path

    @property
    def number(self) -> int:
        return int(self.path.name)

    @property
    def log(self) -> Path:
        return self.path / "build.log"

    @property
    def rpms(self) -> Path:
        return self.path / "rpms"

    @property
    def lock_file(self) -> Path:
        return self.path / "lock"

    @property
    def cancel_file(self) -> Path:
        return self.path / "cancel"

    @property
    def started_file(self) -> Path:
        return self.path / "started"

    def create(self, job: Job) -> bool:
        """Make the folder, whole, unless it is there; answers whether it was made."""
        if self.path.exists():
            return False
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=self.path.parent))
        write_atomically(new / "job.json", json.dumps(asdict(job), indent=1))
        try:
            new.rename(self.path)
        except OSError:
            # Another got there first: rename never replaces a folder that holds something.
            (new / "job.json").unlink()
            new.rmdir()
            if not self.path.exists():
                raise
            return False
        return True

    def job(self) -> Job | None:
        """What was submitted, or None when there is no such submission."""
        try:
            return _load_job(json.loads((self.path / "job.json").read_text("utf-8")))
        except FileNotFoundError:
            return None

    def start(self) -> float:
        """Record that a worker took it; answers the time."""
        now = time.time()
        write_atomically(self.started_file, json.dumps({"host": socket.gethostname(), "time": now}))
        return now

    def started(self) -> tuple[float | None, str]:
        """When it was started, and on which host."""
        try:
            data = json.loads(self.started_file.read_text("utf-8"))
        except FileNotFoundError:
            return None, ""
        return data["time"], data["host"]

    def end(self, outcome: Outcome) -> None:
        write_atomically(self.path / "result.json", outcome.dump())

    def outcome(self) -> Outcome | None:
        """How it ended, or None."""
        try:
            return Outcome.load((self.path / "result.json").read_text("utf-8"))
        except FileNotFoundError:
            return None

    def status(self, url: str = "") -> TaskStatus:
        """What became of it, read from the files alone."""
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
        outcome = self.outcome()  # it may have ended since the first look
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
