"""A build system whose builds end when the test says so. It records calls that violate the protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from builds.models import ComponentBuild
from buildsys.base import (
    BuildSystem,
    BuildSystemUnavailable,
    Capabilities,
    Job,
    Module,
    RepoState,
    RepoStatus,
    Result,
    Shipping,
    Submission,
    Tagged,
    TaskState,
    TaskStatus,
)
from mbs.states import ComponentState


@dataclass
class Task:
    """A build of a component."""

    id: int
    component: int
    nvr: str
    state: TaskState = TaskState.OPEN


@dataclass
class Repo:
    """A repository with the buildroot's content at its request."""

    tag: str
    nvrs: frozenset[str]
    ready: bool = False


@dataclass
class Hub(BuildSystem):
    """See ``buildsys.base.BuildSystem``; methods that are not needed do nothing.

    Tagging and regenerating take time too, until ``pass_time``.
    """

    name: str = "model"
    capabilities: Capabilities = field(default_factory=Capabilities)
    away: bool = False
    tasks: dict[int, Task] = field(default_factory=dict)
    tags: dict[str, set[str]] = field(default_factory=dict)
    tagging: list[tuple[str, str]] = field(default_factory=list)
    repos: dict[int, Repo] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = count(1)

    def open_tasks(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.state is TaskState.OPEN]

    def pass_time(self) -> None:
        for tag, nvr in self.tagging:
            self.tags.setdefault(tag, set()).add(nvr)
        self.tagging.clear()
        for repo in self.repos.values():
            repo.ready = True

    def _here(self) -> None:
        if self.away:
            raise BuildSystemUnavailable("The hub is away.")

    def arches(self, module: Module) -> tuple[str, ...]:
        self._here()
        return ("x86_64",)

    def expected_seconds(self, packages: Sequence[str]) -> dict[str, float]:
        self._here()
        return {}

    def prepare(self, module: Module, packages: Sequence[str]) -> None:
        self._here()

    def find(self, jobs: Sequence[Job]) -> list[Submission | None]:
        self._here()
        return [self._find(job) for job in jobs]

    def _find(self, job: Job) -> Submission | None:
        for task in reversed(self.tasks.values()):
            if task.component == job.component_id and task.state in (TaskState.OPEN, TaskState.COMPLETE):
                known = task.state is not TaskState.OPEN
                return Submission(task.id, status=self._status(task.id) if known else None)
        return None

    def submit(self, jobs: Sequence[Job]) -> list[Submission]:
        self._here()
        return [(self._find(job) if job.maybe_submitted else None) or self._submit(job) for job in jobs]

    def _submit(self, job: Job) -> Submission:
        component = ComponentBuild.objects.get(pk=job.component_id)
        earlier = component.module_build.component_builds.filter(batch__lt=component.batch)
        nvrs = {f"p{row.pk}-1-1" for row in earlier}
        held = [repo.nvrs for repo in self.repos.values() if repo.tag == job.module.tag and repo.ready]
        if earlier.exclude(state=ComponentState.COMPLETE).exists():
            self.faults.append(f"{component} was submitted before earlier batches were built")
        if nvrs and not any(nvrs <= repo for repo in held):
            self.faults.append(f"{component} was submitted before a repository held {nvrs}")
        task = Task(next(self._numbers), job.component_id, f"p{job.component_id}-1-1")
        self.tasks[task.id] = task
        return Submission(task.id)

    def statuses(self, task_ids: Sequence[int]) -> list[TaskStatus]:
        self._here()
        return [self._status(number) for number in task_ids]

    def _status(self, number: int) -> TaskStatus:
        task = self.tasks.get(number)
        if task is None:
            return TaskStatus(number, TaskState.LOST)
        nvr = task.nvr if task.state is TaskState.COMPLETE else ""
        return TaskStatus(number, task.state, nvr=nvr, reason="It broke.")

    def cancel(self, task_ids: Sequence[int]) -> None:
        self._here()
        for number in task_ids:
            if self.tasks[number].state is TaskState.OPEN:
                self.tasks[number].state = TaskState.CANCELED

    def recover(self, task_ids: Sequence[int]) -> None:
        self._here()

    def tag(
        self,
        module: Module,
        nvrs: Sequence[str],
        *,
        final: bool = True,
        task_ids: Mapping[str, int] | None = None,
    ) -> Tagged:
        self._here()
        self.tagging += [(module.tag, nvr) for nvr in nvrs]
        return self.tagged(module, nvrs)

    def tagged(self, module: Module, nvrs: Sequence[str]) -> Tagged:
        there = frozenset(self.tags.get(module.tag, set()) & set(nvrs))
        return Tagged(there, there)

    def tagged_of(self, wanted: Sequence[tuple[Module, Sequence[str]]]) -> list[Tagged]:
        self._here()
        return [self.tagged(module, nvrs) for module, nvrs in wanted]

    def deleted(self, builds: Mapping[int, str]) -> set[int]:
        self._here()
        return set()

    def ship(self, module: Module, content_tag: str) -> Shipping:
        self._here()
        return Shipping()

    def request_repo(self, module: Module) -> int:
        self._here()
        number = next(self._numbers)
        self.repos[number] = Repo(module.tag, frozenset(self.tags.get(module.tag, ())))
        return number

    def repo_status(self, module: Module, request: int, nvrs: Sequence[str]) -> RepoStatus:
        self._here()
        repo = self.repos[request]
        if not repo.ready:
            return RepoStatus(RepoState.OPEN)
        missing = tuple(nvr for nvr in nvrs if nvr not in repo.nvrs)
        return RepoStatus(RepoState.FAILED if missing else RepoState.READY, missing=missing)

    def repos_under_way(self, requests: Sequence[int]) -> set[int]:
        self._here()
        return set()

    def finalize(self, module: Module, nvrs: Mapping[str, str]) -> Result:
        self._here()
        return Result(topdir="model:")

    def abandon(self, module: Module) -> None:
        """Cancel all open builds of the module, by the target like Koji's."""
        self._here()
        members = set(ComponentBuild.objects.filter(module_build=module.id).values_list("pk", flat=True))
        self.cancel([task.id for task in self.open_tasks() if task.component in members])
