"""A build system that builds nothing, for tests, load and demonstrations.

It keeps its state in a file that all processes share. Builds take a configured time; a package whose name
begins with ``takes-2.5-`` takes 2.5 seconds. A package whose name begins with ``fails-`` fails; one that
begins with ``refused-`` cannot be submitted. While a file ``simulated.away`` exists beside the state, the
build system is unavailable. Builds of packages that are listed in a file ``simulated.held`` do not end.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from buildsys.base import (
    BuildSystemError,
    BuildSystemUnavailable,
    Capabilities,
    Job,
    Module,
    RepoState,
    RepoStatus,
    Result,
    Send,
    Shipping,
    Submission,
    Tagged,
    TaskState,
    TaskStatus,
)
from buildsys.logs import LogFile, LogPart, NoSuchLog, clipped
from buildsys.simulated_logs import NAME, simulated_log
from mbs import wait_keys
from mbs.errors import Problem

_SCHEMA = """
CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY, component INTEGER, attempt INTEGER, wakes TEXT NOT NULL, nvr TEXT NOT NULL,
    state TEXT NOT NULL, started REAL NOT NULL, ends REAL NOT NULL, UNIQUE (component, attempt));
CREATE TABLE IF NOT EXISTS tagged (tag TEXT, nvr TEXT, PRIMARY KEY (tag, nvr)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS repo (task INTEGER, nvr TEXT, PRIMARY KEY (task, nvr)) WITHOUT ROWID;
"""
#: Names of packages that say how long their builds take.
_TAKES = re.compile(r"takes-([0-9]{1,6}(?:\.[0-9]{1,3})?)-")
_COLUMNS = "id, state, nvr, started, ends, wakes"


class SimulatedBuildSystem:
    """A simulated build system; see ``buildsys.base``, and ``ReadsLogs`` of ``buildsys.logs``.

    Args:
        path: File for its state.
        build_seconds: Duration of a build; with 0 it is complete when submitted.
        repo_seconds: Duration of a regeneration.
    """

    name = "simulated"
    capabilities = Capabilities(shares_builds=True, simulated=True, knows_arches=True)

    def __init__(self, path: Path, *, send: Send, build_seconds: float = 0, repo_seconds: float = 0) -> None:
        self._path = path
        self._send = send
        self._build_seconds = build_seconds
        self._repo_seconds = repo_seconds
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._books() as books:
            # Not executescript(), which commits first: another process may create the tables meanwhile.
            for statement in _SCHEMA.split(";"):
                books.execute(statement)

    @contextmanager
    def _books(self) -> Iterator[sqlite3.Connection]:
        """Open the state in a transaction that holds the write lock from the beginning."""
        if self._path.with_suffix(".away").exists():
            raise BuildSystemUnavailable(
                "The simulated build system is not available (simulated.away exists)."
            )
        books = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        books.execute("PRAGMA synchronous = OFF")
        try:
            books.execute("BEGIN IMMEDIATE")
            yield books
            if books.in_transaction:
                books.execute("COMMIT")
        finally:
            books.close()

    def arches(self, module: Module) -> tuple[str, ...]:
        """Return x86_64."""
        return ("x86_64",)

    def expected_seconds(self, packages: Sequence[str]) -> dict[str, float]:
        """Return nothing, since packages have no history."""
        return {}

    def prepare(self, module: Module, packages: Sequence[str]) -> None:
        """Do nothing, since tags need no preparation."""
        pass

    def find(self, jobs: Sequence[Job]) -> list[Submission | None]:
        """Return submissions that are open or complete."""
        with self._books() as books:
            return [self._find(books, job) for job in jobs]

    def _find(self, books: sqlite3.Connection, job: Job) -> Submission | None:
        row = books.execute(
            "SELECT id FROM task WHERE component = ? AND state IN ('open', 'complete') ORDER BY id DESC",
            (job.component_id,),
        ).fetchone()
        return self._submission(books, row[0]) if row else None

    def _submission(self, books: sqlite3.Connection, task_id: int) -> Submission:
        status = self._status(books, task_id)
        return Submission(task_id, status=None if status.state is TaskState.OPEN else status)

    def submit(self, jobs: Sequence[Job]) -> list[Submission]:
        """Record builds that end after ``build_seconds``."""
        now = time.time()
        submissions = []
        with self._books() as books:
            for job in jobs:
                if known := self._find(books, job):
                    submissions.append(known)
                    continue
                if job.package.startswith("refused-"):
                    raise BuildSystemError(f"The simulated build system refuses {job.package}.")
                books.execute(
                    "INSERT INTO task (component, attempt, wakes, nvr, state, started, ends)"
                    " VALUES (?, ?, ?, ?, 'open', ?, ?) ON CONFLICT DO NOTHING",
                    (
                        job.component_id,
                        job.attempt,
                        job.wake_key,
                        f"{job.package}-1.0-1.{job.module.disttag}",
                        now,
                        now + self._seconds(job.package),
                    ),
                )
                row = books.execute(
                    "SELECT id FROM task WHERE component = ? AND attempt = ?", (job.component_id, job.attempt)
                )
                submissions.append(self._submission(books, row.fetchone()[0]))
        for job, submission in zip(jobs, submissions, strict=True):
            if seconds := self._seconds(job.package):
                self._send(submission.task_id, seconds)
        return submissions

    def _seconds(self, package: str) -> float:
        """Return how long the build of a package takes."""
        match = _TAKES.match(package)
        return float(match[1]) if match else self._build_seconds

    def statuses(self, task_ids: Sequence[int]) -> list[TaskStatus]:
        """Return the statuses, which depend on the time."""
        with self._books() as books:
            return [self._status(books, task_id) for task_id in task_ids]

    def _status(self, books: sqlite3.Connection, task_id: int) -> TaskStatus:
        query = f"SELECT {_COLUMNS} FROM task WHERE id = ?"  # noqa: S608  (a constant)
        row = books.execute(query, (task_id,)).fetchone()
        if row is None:
            return TaskStatus(task_id, TaskState.LOST, reason="the simulated build system does not know it")
        _, state, nvr, started, ends, _ = row
        if state == "open" and self._is_over(nvr, ends):
            state = "failed" if nvr.startswith("fails-") else "complete"
            books.execute("UPDATE task SET state = ? WHERE id = ?", (state, task_id))
        return TaskStatus(
            task_id,
            TaskState(state),
            nvr=nvr,
            reason={"failed": "simulated failure", "canceled": "canceled"}.get(state, ""),
            started=started,
            ended=None if state == "open" else min(ends, time.time()),
        )

    def logs(self, task_id: int) -> Sequence[LogFile]:
        """See ``buildsys.logs.ReadsLogs``."""
        (status,) = self.statuses([task_id])
        return [] if status.state is TaskState.LOST else [LogFile(NAME, NAME)]

    def read_log(self, task_id: int, name: str, start: int, stop: int) -> LogPart:
        """See ``buildsys.logs.ReadsLogs``."""
        (status,) = self.statuses([task_id])
        if status.state is TaskState.LOST or name != NAME:
            raise NoSuchLog.of(task_id, name)
        now, started = time.time(), status.started or 0.0
        seconds = self._seconds(status.nvr)
        share = ((status.ended or now) - started) / seconds if seconds else 1.0
        text = simulated_log(status.nvr, share, status.state.value)
        offset, count = clipped(start, stop)
        complete = status.state is not TaskState.OPEN
        return LogPart(offset, text[offset : offset + count], len(text), complete)

    def _is_over(self, nvr: str, ends: float) -> bool:
        """Return whether a build's time is over and the build is not held."""
        try:
            held = self._path.with_suffix(".held").read_text().split()
        except FileNotFoundError:
            held = []
        return ends <= time.time() and nvr.rsplit("-", 2)[0] not in held

    def cancel(self, task_ids: Sequence[int]) -> None:
        """Cancel open builds."""
        with self._books() as books:
            for status in [self._status(books, task_id) for task_id in task_ids]:
                if status.state is TaskState.OPEN:
                    books.execute("UPDATE task SET state = 'canceled' WHERE id = ?", (status.task_id,))

    def recover(self, task_ids: Sequence[int]) -> None:
        """Do nothing: builds end by the clock, and the sweep that calls this reads the statuses."""

    def run(self, task_id: int) -> str | None:
        """Return the key to wake if the time of a submission or regeneration is over."""
        with self._books() as books:
            row = books.execute("SELECT wakes, nvr, ends FROM task WHERE id = ?", (task_id,)).fetchone()
        if row is None:
            return None
        wakes, nvr, ends = row
        if not self._is_over(nvr, ends):
            self._send(task_id, max(ends - time.time(), 0.1))
            return None
        return str(wakes)

    def tag(
        self,
        module: Module,
        nvrs: Sequence[str],
        *,
        final: bool = True,
        task_ids: Mapping[str, int] | None = None,
    ) -> Tagged:
        """Tag builds at once."""
        tags = [f"{module.tag}-build", module.tag] if final else [f"{module.tag}-build"]
        with self._books() as books:
            books.executemany(
                "INSERT INTO tagged VALUES (?, ?) ON CONFLICT DO NOTHING",
                [(tag, nvr) for tag in tags for nvr in nvrs],
            )
        return self.tagged(module, nvrs)

    def tagged(self, module: Module, nvrs: Sequence[str]) -> Tagged:
        """Return the tagged builds."""
        with self._books() as books:
            there = {
                tag: frozenset(
                    nvr for (nvr,) in books.execute("SELECT nvr FROM tagged WHERE tag = ?", (tag,))
                )
                for tag in (f"{module.tag}-build", module.tag)
            }
        buildroot, final = there.values()
        return Tagged(buildroot & set(nvrs), final & set(nvrs))

    def deleted(self, builds: Mapping[int, str]) -> set[int]:
        """Return nothing, since builds are never deleted."""
        return set()

    def tagged_of(self, wanted: Sequence[tuple[Module, Sequence[str]]]) -> list[Tagged]:
        """Return the tagged builds of each module."""
        return [self.tagged(module, nvrs) for module, nvrs in wanted]

    def request_repo(self, module: Module) -> int:
        """Record a regeneration that ends after ``repo_seconds``."""
        now = time.time()
        with self._books() as books:
            task = books.execute(
                "INSERT INTO task (wakes, nvr, state, started, ends) VALUES (?, '', 'open', ?, ?)",
                (wait_keys.repo(module.tag), now, now + self._repo_seconds),
            ).lastrowid
            books.execute(
                "INSERT INTO repo SELECT ?, nvr FROM tagged WHERE tag = ?", (task, f"{module.tag}-build")
            )
        assert task is not None
        if self._repo_seconds:
            self._send(task, self._repo_seconds)
        return task

    def repos_under_way(self, requests: Sequence[int]) -> set[int]:
        """Return nothing, so that the caller reads each status."""
        return set()

    def repo_status(self, module: Module, request: int, nvrs: Sequence[str]) -> RepoStatus:
        """Return the status, which depends on the time."""
        with self._books() as books:
            row = books.execute("SELECT ends FROM task WHERE id = ?", (request,)).fetchone()
            if row is None:
                return RepoStatus(RepoState.FAILED, "the simulated build system does not know this request")
            if row[0] > time.time():
                return RepoStatus(RepoState.OPEN)
            held = {nvr for (nvr,) in books.execute("SELECT nvr FROM repo WHERE task = ?", (request,))}
        missing = tuple(nvr for nvr in nvrs if nvr not in held)
        return RepoStatus(RepoState.FAILED if missing else RepoState.READY, missing=missing)

    def finalize(self, module: Module, nvrs: Mapping[str, str]) -> Result:
        """Return a result without documents."""
        return Result(topdir=f"simulated://{module.tag}")

    def ship(self, module: Module, content_tag: str) -> Shipping:
        """Report that everything is tagged."""
        return Shipping()

    def abandon(self, module: Module) -> None:
        """Do nothing, since builds occupy no resources."""
        pass

    def examine(self, tags: Sequence[str], bare: Sequence[str] = ()) -> list[Problem]:
        """Report no problems."""
        return []

    def prepared(self) -> list[str]:
        """Return nothing, since nothing is prepared."""
        return []

    def retire(self, tags: Sequence[str]) -> None:
        """Do nothing, since nothing is prepared."""

    def discard(self, module: Module) -> None:
        """Do nothing, since nothing was built."""
