"""The local build system, whose builds run on this service's own workers."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from buildsys.base import (
    BuildSystemError,
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
from buildsys.delivery import LeftOut, ResultFile
from buildsys.excerpts import Excerpt, excerpt_of_file
from buildsys.local.check import check
from buildsys.local.folders import ATTEMPTS, Outcome, TaskFolder, lock, task_number
from buildsys.local.modules import Built, ModuleFolder, installable
from buildsys.local.protections import Protection, missing, protections
from buildsys.local.repos import DnfCommands, dnf_commands, finish
from buildsys.local.results import BuildFailed
from buildsys.local.rpmfile import Package
from buildsys.local.runner import Run, clean
from buildsys.local.sandbox import BoundedLog, Limits, Sandbox, Stopped, remove_tree
from buildsys.local.sources import Allowance, inputs
from buildsys.local.streams import StreamFolder, deliver, left_out
from buildsys.local.views import make_view
from buildsys.logs import LogFile, LogPart, NoSuchLog, clipped
from buildsys.recorded import BuiltPackage
from mbs.errors import MBSError, Problem
from scm.options import ScmOptions

_MAX_REASON = 4096

logger = logging.getLogger(__name__)

#: Seconds between two checks whether the disk has its reserve again.
SPACE_POLL = 5.0


class LocalBuildSystem:
    """Builds RPMs in a folder that several machines may share.

    Args:
        root: The folder, which only the service may use.
        send: Puts a submission on the queue of builds.
        base_url: Address of the web server, which serves ``root`` as ``<base_url>/results/``; empty for
            addresses of files.
        jobs: Concurrent builds on one machine, which share the cores.
        scm: Permissions and limits for fetching sources.
        limits: Limits of each build.
        lenient: Whether builds may run on a machine that lacks protections.
        user: Id of the builds' user if the service runs as root; 0 for a separate one for each.
    """

    name = "local"
    capabilities = Capabilities(shares_builds=True, needs_dist=True, knows_arches=True)

    def __init__(
        self,
        root: Path,
        *,
        send: Send,
        base_url: str = "",
        jobs: int = os.cpu_count() or 1,
        scm: ScmOptions | None = None,
        limits: Limits | None = None,
        lenient: bool = True,
        user: int = 0,
    ) -> None:
        self.root = root.absolute()
        self.jobs = jobs
        self._send = send
        self._base_url = base_url.rstrip("/")
        self._scm = scm or ScmOptions()
        self._limits = limits or Limits()
        self._lenient = lenient
        self._user = user
        self._tasks = self.root / "tasks"
        self._tasks.mkdir(parents=True, exist_ok=True)

    # For the workflow: see ``buildsys.base.BuildSystem``.

    def arches(self, module: Module) -> tuple[str, ...]:
        """Return this machine's architecture."""
        return (platform.machine(),)

    def expected_seconds(self, packages: Sequence[str]) -> dict[str, float]:
        """Return nothing: the service's own history, which is used first, is the only one."""
        return {}

    def prepare(self, module: Module, packages: Sequence[str]) -> None:
        """Make the module's folder."""
        ModuleFolder.of(self.root, module).prepare()

    def find(self, jobs: Sequence[Job]) -> list[Submission | None]:
        """Return submissions that are open or complete."""
        return [self._find(job) for job in jobs]

    def submit(self, jobs: Sequence[Job]) -> list[Submission]:
        """Make a folder for each job and put it on the queue."""
        submissions = []
        for job in jobs:
            if known := self._find(job):
                submissions.append(known)
                continue
            number = task_number(job.component_id, job.attempt)
            task = self._task(number)
            ModuleFolder.of(self.root, job.module).add_task(number)
            if task.create(job):
                self._send(number, 0)
            else:
                self._check_same(task, job)
            submissions.append(self._submission(task))
        return submissions

    def statuses(self, task_ids: Sequence[int]) -> list[TaskStatus]:
        """Return the statuses by the files in the folders."""
        return [self._task(number).status(self._url(number)) for number in task_ids]

    def explain(self, task_ids: Sequence[int]) -> dict[int, Excerpt]:
        """See ``buildsys.excerpts.ExplainsFailures``."""
        found = {number: excerpt_of_file(self._task(number).log) for number in task_ids}
        return {number: excerpt for number, excerpt in found.items() if excerpt}

    def cancel(self, task_ids: Sequence[int]) -> None:
        """Cancel builds that are waiting or running."""
        for task in map(self._task, task_ids):
            if task.outcome() or not task.path.exists():
                continue
            task.cancel_file.touch()
            with lock(task.lock_file) as idle:
                # Otherwise the worker that runs the build sees the file, kills the build and records the
                # outcome.
                if idle and not task.outcome():
                    _record(task, TaskState.CANCELED, reason="It was cancelled.")

    def logs(self, task_id: int) -> Sequence[LogFile]:
        """See ``buildsys.logs.ReadsLogs``."""
        log = self._task(task_id).log
        return [LogFile(log.name, log.name)] if log.exists() else []

    def read_log(self, task_id: int, name: str, start: int, stop: int) -> LogPart:
        """See ``buildsys.logs.ReadsLogs``."""
        task = self._task(task_id)
        # Asked before the log is read: the end is recorded when the last byte of the log is written.
        complete = task.outcome() is not None
        offset, count = clipped(start, stop)
        try:
            if name != task.log.name:
                raise FileNotFoundError
            with task.log.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                data = os.pread(file.fileno(), count, offset)
        except FileNotFoundError:
            raise NoSuchLog.of(task_id, name) from None
        return LogPart(offset, data, max(size, offset + len(data) if data else 0), complete)

    def recover(self, task_ids: Sequence[int]) -> None:
        """Put builds on the queue again that have not started."""
        for task in map(self._task, task_ids):
            if task.path.exists() and not task.outcome() and task.started()[0] is None:
                self._send(task.number, 0)

    def tag(
        self,
        module: Module,
        nvrs: Sequence[str],
        *,
        final: bool = True,
        task_ids: Mapping[str, int] | None = None,
    ) -> Tagged:
        """Tag builds by hard links."""
        folder = ModuleFolder.of(self.root, module)
        folder.prepare()
        for nvr in nvrs:
            folder.tag_build(nvr, (task_ids or {}).get(nvr), final=final)
        return folder.tagged(nvrs)

    def tagged(self, module: Module, nvrs: Sequence[str]) -> Tagged:
        """Return the tagged builds."""
        return ModuleFolder.of(self.root, module).tagged(nvrs)

    def deleted(self, builds: Mapping[int, str]) -> set[int]:
        """Return the submissions whose RPMs are missing."""
        return {number for number, nvr in builds.items() if not Built.find(self.root, number, nvr)}

    def tagged_of(self, wanted: Sequence[tuple[Module, Sequence[str]]]) -> list[Tagged]:
        """Return the tagged builds of each module."""
        return [self.tagged(module, nvrs) for module, nvrs in wanted]

    def request_repo(self, module: Module) -> int:
        """Return the number of builds in the buildroot, which identifies its state because it only grows.

        Later builds read the buildroot itself, so no repository is needed.
        """
        return len(ModuleFolder.of(self.root, module).nvrs("buildroot"))

    def repo_status(self, module: Module, request: int, nvrs: Sequence[str]) -> RepoStatus:
        """Return READY if all builds are in the buildroot."""
        there = set(ModuleFolder.of(self.root, module).nvrs("buildroot"))
        absent = tuple(nvr for nvr in nvrs if nvr not in there)
        if absent:
            return RepoStatus(RepoState.FAILED, f"Not in the buildroot: {', '.join(absent)}.", absent)
        return RepoStatus(RepoState.READY)

    def repos_under_way(self, requests: Sequence[int]) -> set[int]:
        """Return nothing, so that the caller reads each status."""
        return set()

    def finalize(self, module: Module, nvrs: Mapping[str, str]) -> Result:
        """Make the repositories of the module."""
        folder = ModuleFolder.of(self.root, module)
        (arch,) = self.arches(module)
        sandbox = self._sandbox(folder.path)
        documents = finish(module, folder, list(nvrs.values()), arch, sandbox)
        remove_tree(folder.views)
        place = folder.repo.relative_to(self.root)
        topdir = f"{self._base_url}/results/{quote(str(place))}" if self._base_url else str(folder.repo)
        return Result(topdir, documents, delivery=deliver(module, folder, self._base_url, sandbox))

    def files(self, module: Module, most: int) -> list[ResultFile]:
        """See ``buildsys.delivery.ListsFiles``."""
        return ModuleFolder.of(self.root, module).files(most)

    def withdraw(self, module: Module) -> None:
        """See ``buildsys.delivery.WithdrawsModules``."""
        folder = StreamFolder(self.root, module.name, module.stream)
        folder.remove(module.tag, self._sandbox(folder.path))

    def left_out(self, module: Module) -> LeftOut | None:
        """See ``buildsys.delivery.KeepsStreams``."""
        return left_out(module, ModuleFolder.of(self.root, module), self._base_url)

    def recorded_rpms(self, module: Module) -> Iterator[BuiltPackage]:
        """Yield the RPMs of a finished module with their sizes and dependencies."""
        return ModuleFolder.of(self.root, module).recorded()

    def ship(self, module: Module, content_tag: str) -> Shipping:
        """Report that everything is tagged."""
        return Shipping()

    def dnf_commands(self, module: Module, installroot: Path, profile: str = "") -> DnfCommands:
        """Return the dnf commands that list and install a finished module."""
        return dnf_commands(module, ModuleFolder.of(self.root, module), installroot, profile)

    def abandon(self, module: Module) -> None:
        """Cancel all builds of the module."""
        self.cancel(ModuleFolder.of(self.root, module).tasks())

    def examine(self, tags: Sequence[str], bare: Sequence[str] = ()) -> list[Problem]:
        """Check the machine's tools, sandbox and protections."""
        return [*check(self.root, self._limits), *self.unprotected()]

    def protections(self) -> list[Protection]:
        """Return the protections of builds on this machine, in force or not."""
        return protections(self._limits)

    def unprotected(self) -> list[Problem]:
        """Return the protections that production requires and this machine lacks; empty if lenient."""
        return [] if self._lenient else [each.problem for each in missing(self._limits)]

    def prepared(self) -> list[str]:
        """Return nothing, since nothing is prepared."""
        return []

    def retire(self, tags: Sequence[str]) -> None:
        """Do nothing, since nothing is prepared."""

    def discard(self, module: Module) -> None:
        """Do nothing, because other modules may have hard links to the builds."""

    # For workers on the queue of builds: see ``buildsys.base.RunsBuilds``.

    def run(self, task_id: int) -> str | None:
        """Run a submission, unless it runs elsewhere, was started before or is outdated."""
        task = self._task(task_id)
        job = task.job()
        if job is None:
            return None
        with lock(task.lock_file) as mine:
            if not task.outcome():
                if not mine or task.started()[0] is not None or self._outdated(job):
                    return None
                self._wait_for_space(task)
                task.start()
                self._run(task, job)
        return job.wake_key

    def _wait_for_space(self, task: TaskFolder) -> None:
        """Wait until the disk has its reserve, or the build is cancelled."""
        said = False
        while not task.cancel_file.exists() and (scarce := self._limits.short_of(self.root)):
            if not said:
                logger.warning("Build %s waits for %s below %s.", task.number, scarce, self.root)
                with BoundedLog(task.log, self._limits.log_bytes) as log:
                    log.say(f"waits until the builder has enough {scarce}")
                said = True
            time.sleep(SPACE_POLL)

    def _run(self, task: TaskFolder, job: Job) -> None:
        """Build and record the outcome in any case; only a worker that dies leaves none."""
        folder = ModuleFolder.of(self.root, job.module)
        try:
            self._clean_earlier(job)
            nvr = self._build(task, job, folder)
            _record(task, TaskState.COMPLETE, nvr=nvr)
        except Stopped as error:
            state = TaskState.CANCELED if task.cancel_file.exists() else TaskState.FAILED
            _record(task, state, reason=f"The build was stopped: {error}.")
        except (BuildFailed, MBSError) as error:
            hint = f" {error.hint}" if isinstance(error, MBSError) and error.hint else ""
            _record(task, TaskState.FAILED, reason=f"{error}{hint}")
        # Recorded on the build, with its traceback in the service's log.
        except Exception as error:
            logger.exception("Build %s of %s failed unexpectedly.", task.number, job.package)
            _record(task, TaskState.FAILED, reason=f"Unexpected error of the build system: {error!r}")

    def _build(self, task: TaskFolder, job: Job, folder: ModuleFolder) -> str:
        def stop() -> str:
            return "it was cancelled" if task.cancel_file.exists() else ""

        deadline = time.monotonic() + self._limits.seconds
        sandbox = self._sandbox(task.path)
        with BoundedLog(task.log, self._limits.log_bytes) as log:
            log.say(f"{job.package} of {job.module.nsvc}, attempt {job.attempt}: {job.source or 'generated'}")
            shown = {path: None for path, _ in installable(self._buildroot(job, folder))}
            view = make_view(folder.views, list(shown), sandbox, deadline=deadline, stop=stop)
            run = Run(
                task=task,
                job=job,
                sandbox=replace(sandbox, view=view),
                installed=lambda: (each for path, each in self._buildroot(job, folder) if path in shown),
                cpus=max(1, (os.cpu_count() or 1) // self.jobs),
                log=log,
                stop=stop,
            )
            clean(task)
            files = task.path / "inputs"
            files.mkdir()
            try:
                allowance = Allowance.of(files, self._limits, deadline, stop)
                with inputs(job, files, self._scm, allowance) as found:
                    nvr = run.build(found)
                self._publish(folder, nvr, task)
            except (BuildFailed, Stopped, MBSError) as error:
                log.say(f"failed: {error}")
                raise
            finally:
                clean(task)
            log.say(f"done: {nvr}")
        return nvr

    def _sandbox(self, folder: Path) -> Sandbox:
        """Return a sandbox for a task in a folder of the service."""
        return Sandbox(folder / "work", folder / "root", limits=self._limits, user=self._user)

    def _task(self, number: int) -> TaskFolder:
        return TaskFolder(self._tasks / str(int(number)))

    def _url(self, number: int) -> str:
        if not self._base_url:
            return self._task(number).log.as_uri()
        return f"{self._base_url}/results/tasks/{number}/build.log"

    def _submission(self, task: TaskFolder) -> Submission:
        return Submission(task.number, self._url(task.number))

    def _find(self, job: Job) -> Submission | None:
        for attempt in range(job.attempt, 0, -1):
            task = self._task(task_number(job.component_id, attempt))
            if _same(task.job(), job) and task.status().state in (TaskState.OPEN, TaskState.COMPLETE):
                return self._submission(task)
        return None

    def _check_same(self, task: TaskFolder, job: Job) -> None:
        if not _same(task.job(), job):
            raise BuildSystemError(
                f"The work folder {task.number} does not belong to {job.package} of {job.module.nsvc}.",
                code="work_folder_taken",
                hint="Give each service a folder of its own, and empty it if its database is created again.",
            )

    def _outdated(self, job: Job) -> bool:
        later = range(job.attempt + 1, ATTEMPTS)
        return any(self._task(task_number(job.component_id, each)).path.exists() for each in later)

    def _clean_earlier(self, job: Job) -> None:
        """Remove the files of earlier attempts whose workers died."""
        for attempt in range(1, job.attempt):
            task = self._task(task_number(job.component_id, attempt))
            if task.path.exists():
                with lock(task.lock_file) as dead:
                    if dead:
                        clean(task)

    def _buildroot(self, job: Job, folder: ModuleFolder) -> Iterator[tuple[Path, Package]]:
        """Yield the RPMs that the build sees: of required modules in order, then of earlier batches."""
        for entry in job.module.buildrequires.values():
            tag = entry.get("koji_tag")
            if isinstance(tag, str) and tag:
                yield from ModuleFolder(self.root, tag).content()
        for nvr in folder.nvrs("buildroot"):
            yield from folder.packages("buildroot", nvr)

    def _publish(self, folder: ModuleFolder, nvr: str, task: TaskFolder) -> None:
        earlier = folder.built_by(nvr)
        if earlier is not None and earlier // ATTEMPTS != task.number // ATTEMPTS:
            raise BuildFailed(f"{nvr} was already built by another component of this module.")
        folder.publish(nvr, task.rpms)


def _same(one: Job | None, other: Job) -> bool:
    """Return whether two jobs are attempts at the same component of the same module build."""
    return one is not None and (one.module.tag, one.package, one.source) == (
        other.module.tag,
        other.package,
        other.source,
    )


def _record(task: TaskFolder, state: TaskState, *, nvr: str = "", reason: str = "") -> None:
    """Record the outcome.

    A reason may quote the build's output, and any user may read it. So it is shortened, made printable, and
    stripped of the folders of builds.
    """
    root = task.path.parent.parent
    reason = reason.replace(f"{root}/", "").replace(str(root), "the data folder")
    reason = "".join(letter if letter.isprintable() else "?" for letter in reason[:_MAX_REASON])
    task.end(Outcome(state, nvr, reason, started=task.started()[0], ended=time.time()))
