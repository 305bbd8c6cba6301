"""Builds of components in Koji: find, submit, read statuses, cancel.

See docs/contract/koji.md, "What a module build leaves in Koji", point 3, and "Builds and tasks".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import koji

from buildsys.base import (
    AnswerLost,
    BuildSystemError,
    BuildSystemUnavailable,
    Job,
    Module,
    Submission,
    TaskState,
    TaskStatus,
)
from buildsys.koji.archtags import arch_target, limited
from buildsys.koji.blame import of_infrastructure
from buildsys.koji.errors import is_answer_lost
from buildsys.koji.session import Hub, failure, outcome, succeeded
from buildsys.koji.tagging import OPEN_TASKS
from buildsys.koji.tags import build_tag, target

_CLOSED = [koji.TASK_STATES["CLOSED"]]
#: The reason of a task that failed because its name-version-release is already built.
_EXISTS = re.compile(r"Build already exists \(id=(\d+), state=COMPLETE\)")
_COMPLETE = koji.BUILD_STATES["COMPLETE"]
_STATES = {
    koji.TASK_STATES["FREE"]: TaskState.OPEN,
    koji.TASK_STATES["OPEN"]: TaskState.OPEN,
    koji.TASK_STATES["ASSIGNED"]: TaskState.OPEN,
    koji.TASK_STATES["CLOSED"]: TaskState.COMPLETE,
    koji.TASK_STATES["CANCELED"]: TaskState.CANCELED,
    koji.TASK_STATES["FAILED"]: TaskState.FAILED,
}

_BUILD_STATES = {
    _COMPLETE: TaskState.COMPLETE,
    koji.BUILD_STATES["FAILED"]: TaskState.FAILED,
    koji.BUILD_STATES["CANCELED"]: TaskState.CANCELED,
}


class Builds:
    """The build tasks of this service on a hub.

    Args:
        weburl: Address of Koji's pages, for links to tasks.
        priority: Priority of builds relative to Koji's default.
        limits_arches: Build components only for the architectures that they name.
    """

    def __init__(self, hub: Hub, *, weburl: str, priority: int = 0, limits_arches: bool = False) -> None:
        self._hub = hub
        self._weburl = weburl.rstrip("/")
        self._priority = priority
        self._limits_arches = limits_arches

    def find(self, jobs: Sequence[Job]) -> list[Submission | None]:
        """Return complete builds and open build tasks of jobs, in one round trip.

        If a component has several open tasks, the oldest is used and the others are canceled. A complete
        build belongs to the module if it is in the module's buildroot tag, if its release ends with the
        module's unique dist tag, or if this service's task for the component made it.
        """
        if not jobs:
            return []
        modules = {job.module.tag: job.module for job in jobs}
        mine = {"owner": self._hub.user["id"], "method": "build", "decode": True}
        since = min(module.since for module in modules.values())
        with self._hub.multicall(strict=False) as calls:
            tasks = calls.listTasks({**mine, "state": OPEN_TASKS})
            ended = calls.listTasks({**mine, "state": _CLOSED, "createdAfter": since})
            tagged = {
                tag: calls.listTagged(build_tag(module), strict=False) for tag, module in modules.items()
            }
            built = [
                calls.listBuilds(
                    packageID=job.package, state=_COMPLETE, pattern=f"{job.package}-*.{job.module.disttag}"
                )
                for job in jobs
            ]
        open_tasks, closed_tasks = _by_artifact(outcome(tasks)), _by_artifact(outcome(ended))
        self.cancel([number for numbers in open_tasks.values() for number in numbers[1:]])
        under_way = {key: numbers[0] for key, numbers in open_tasks.items()}
        closed = {key: numbers[-1] for key, numbers in closed_tasks.items()}
        in_tag = {
            (tag, build["package_name"]): build for tag, builds in tagged.items() for build in outcome(builds)
        }
        numbers: list[int] = []
        for job, untagged in zip(jobs, built, strict=True):
            build: Mapping[str, Any] = in_tag.get((job.module.tag, job.package)) or next(
                (each for each in outcome(untagged) if each["name"] == job.package), {}
            )
            artifact = target(job.module), job.package
            # A negative number is an ended task that may or may not have made a build.
            numbers.append(build.get("task_id") or under_way.get(artifact) or -closed.get(artifact, 0))
        complete = self._with_builds([-number for number in numbers if number < 0])
        numbers = [number if number > 0 or -number in complete else 0 for number in numbers]
        return [self._submission(abs(number)) if number else None for number in numbers]

    def _with_builds(self, task_ids: Sequence[int]) -> set[int]:
        """Return the tasks with a complete build, which may be of a package with another name."""
        if not task_ids:
            return set()
        with self._hub.multicall() as calls:
            builds = {number: calls.listBuilds(taskID=number, state=_COMPLETE) for number in task_ids}
        return {number for number, answer in builds.items() if answer.result}

    def submit(self, jobs: Sequence[Job], sources: Mapping[int, str], macros_target: str) -> list[Submission]:
        """Start builds in one round trip.

        Args:
            sources: Component -> path of an uploaded SRPM, for components without dist-git.
            macros_target: Target for components in ``sources``; empty for the module's target.

        Raises:
            AnswerLost: The hub may have started them, or may still do so.
        """
        try:
            with self._hub.multicall() as calls:
                tasks = [
                    calls.build(
                        sources.get(job.component_id) or scm_url(job.source),
                        (job.component_id in sources and macros_target) or self._target(job),
                        self._options(job),
                        priority=self._priority,
                    )
                    for job in jobs
                ]
        except BuildSystemUnavailable as error:
            raise AnswerLost(error.message) if is_answer_lost(error) else error from error
        numbers = [task.result for task in tasks]
        if silent := [job.package for job, number in zip(jobs, numbers, strict=True) if not number]:
            raise AnswerLost(f"The Koji hub returned no task number for the builds of {', '.join(silent)}.")
        return [self._submission(number) for number in numbers]

    def _arches(self, job: Job) -> tuple[str, ...]:
        """Return the architectures that a job is limited to; empty for no limit."""
        return limited(job) if self._limits_arches else ()

    def _target(self, job: Job) -> str:
        arches = self._arches(job)
        return arch_target(job.module, arches) if arches else target(job.module)

    def _options(self, job: Job) -> dict[str, Any]:
        """Return the options of a build task. The last two identify the component."""
        options: dict[str, Any] = {
            "skip_tag": True,
            "mbs_artifact_name": job.package,
            "mbs_module_target": target(job.module),
        }
        if self._arches(job):
            # Only this build needs the tag's repository, and it must not use an old one.
            options["wait_repo"] = True
        return options

    def statuses(self, task_ids: Sequence[int]) -> list[TaskStatus]:
        """Return the statuses of tasks in one round trip, and another for those that ended."""
        if not task_ids:
            return []
        with self._hub.multicall() as calls:
            infos = [
                calls.getTaskInfo(list(task_ids[start : start + 100]))
                for start in range(0, len(task_ids), 100)
            ]
        known = {info["id"]: info for part in infos for info in part.result if info}
        details = self._details([info for info in known.values() if info["state"] not in OPEN_TASKS])
        found = [self._status(number, known.get(number), details.get(number)) for number in task_ids]
        return self._judged(self._adopted(found))

    def _adopted(self, found: Sequence[TaskStatus]) -> list[TaskStatus]:
        """Mark tasks as complete that failed because a task with the same sources made the build."""
        doubled = {each.task_id: int(match[1]) for each in found if (match := _EXISTS.match(each.reason))}
        if not doubled:
            return list(found)
        with self._hub.multicall(strict=False) as calls:
            tasks = {number: calls.getTaskInfo(number, request=True) for number in doubled}
            builds = {number: calls.getBuild(build) for number, build in doubled.items()}
        made = {number: outcome(build) or {} for number, build in builds.items()}
        with self._hub.multicall(strict=False) as calls:
            makers = {
                number: calls.getTaskInfo(build["task_id"], request=True)
                for number, build in made.items()
                if build.get("task_id") and build["state"] == _COMPLETE
            }
        ours = {
            number: str(made[number]["nvr"])
            for number, maker in makers.items()
            if _same(outcome(tasks[number]), outcome(maker))
        }
        return [
            replace(each, state=TaskState.COMPLETE, nvr=ours[each.task_id], reason="")
            if each.task_id in ours
            else each
            for each in found
        ]

    def _judged(self, found: Sequence[TaskStatus]) -> list[TaskStatus]:
        """Mark failures for which the infrastructure is responsible."""
        failed = {each.task_id: each.reason for each in found if each.state is TaskState.FAILED}
        blamed = of_infrastructure(self._hub, failed)
        return [replace(each, infrastructure=True) if each.task_id in blamed else each for each in found]

    def confirm(self, task_ids: Sequence[int]) -> list[TaskStatus]:
        """Return the statuses by builds instead of tasks; see ``buildsys.base.KnowsBuilds``.

        A build completes before its task closes.
        """
        if not task_ids:
            return []
        with self._hub.multicall(strict=False) as calls:
            asked = calls.getTaskInfo(list(task_ids))
            builds = {number: calls.listBuilds(taskID=number) for number in task_ids}
        known = {info["id"]: info for info in outcome(asked) if info}
        unsuccessful = [
            info
            for info in known.values()
            if _STATES[info["state"]] in (TaskState.FAILED, TaskState.CANCELED)
        ]
        details = {**builds, **self._details(unsuccessful)}
        return [
            self._of_build(
                next(iter(outcome(builds[number])), None),
                self._status(number, known.get(number), details[number]),
            )
            for number in task_ids
        ]

    def _of_build(self, build: Mapping[str, Any] | None, status: TaskStatus) -> TaskStatus:
        """Return the status of a task, or that of its build if only the build has ended.

        A build fails before its task, but only the task has the reason. Until the task ends, the build
        counts as open.
        """
        state = _BUILD_STATES.get(build["state"]) if build else None
        if build is None or state is None:
            return status
        if state is TaskState.FAILED:
            return replace(status, ending=status.state is TaskState.OPEN)
        if status.state in (TaskState.FAILED, TaskState.CANCELED):
            return status
        return replace(
            status,
            state=state,
            nvr=build["nvr"],
            reason="" if state is TaskState.COMPLETE else f"The build is {state.value}; see {status.url}",
            started=status.started or build.get("start_ts"),
            ended=build.get("completion_ts"),
        )

    def _details(self, ended: Sequence[Mapping[str, Any]]) -> dict[int, Any]:
        """Return task -> promise of its builds, or of the reason of its failure."""
        if not ended:
            return {}
        with self._hub.multicall(strict=False) as calls:
            return {
                info["id"]: calls.listBuilds(taskID=info["id"])
                if _STATES[info["state"]] is TaskState.COMPLETE
                else calls.getTaskResult(info["id"], raise_fault=False)
                for info in ended
            }

    def _status(self, number: int, info: Mapping[str, Any] | None, detail: Any) -> TaskStatus:
        if info is None:
            return TaskStatus(number, TaskState.LOST, reason="Koji has no such task")
        state, nvr, reason = _STATES[info["state"]], "", ""
        if state is TaskState.COMPLETE:
            build: Mapping[str, Any] = next(iter(outcome(detail)), {})
            nvr = build.get("nvr", "")
            if build.get("state") != _COMPLETE:
                state = TaskState.FAILED
                reason = f"The task ended without a complete build; see {self._url(number)}"
        elif state is not TaskState.OPEN:
            reason = failure(detail)
        return TaskStatus(
            number,
            state,
            nvr=nvr,
            reason=reason,
            url=self._url(number),
            started=info["start_ts"],
            ended=info["completion_ts"],
        )

    def cancel(self, task_ids: Sequence[int]) -> None:
        """Cancel tasks and their builds; ignore tasks that ended or are unknown.

        Raises:
            BuildSystemError: The hub does not allow this user to cancel an open task.
        """
        if not task_ids:
            return
        with self._hub.multicall(strict=False) as calls:
            canceled = {number: calls.cancelTask(number) for number in task_ids}
        refused = [number for number, call in canceled.items() if not succeeded(call)]
        for status in self.statuses(refused):
            if status.state is TaskState.OPEN:
                _refuse(canceled[status.task_id])

    def cancel_all(self, module: Module) -> None:
        """Cancel all builds of this user for a module's target."""
        tasks = self._hub.call(
            "listTasks",
            {"owner": self._hub.user["id"], "method": "build", "state": OPEN_TASKS, "decode": True},
        )
        ours = [numbers for (name, _), numbers in _by_artifact(tasks).items() if name == target(module)]
        self.cancel([number for numbers in ours for number in numbers])

    def _submission(self, number: int) -> Submission:
        return Submission(number, self._url(number))

    def _url(self, number: int) -> str:
        return f"{self._weburl}/taskinfo?taskID={number}"


def _refuse(call: Any) -> None:
    """Raise the hub's refusal. Waiting does not help if the task belongs to another user.

    Raises:
        BuildSystemError: The hub does not allow the call.
    """
    try:
        outcome(call)
    except BuildSystemUnavailable as error:
        if error.code != "koji_not_allowed":
            raise
        raise BuildSystemError(error.message, code=error.code, hint=error.hint) from error


def scm_url(source: str) -> str:
    """Return a dist-git address in Koji's form: ``git+https://host/path?#commit``.

    Koji recognizes git by the scheme: ``git://`` is known, others need the prefix ``git+``.
    """
    address, _, commit = source.partition("#")
    scheme = address.partition("://")[0]
    prefix = "" if scheme == "git" or scheme.startswith("git+") else "git+"
    return f"{prefix}{address.rstrip('?')}?#{commit}"


def _same(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Return whether two build tasks have the same user, sources and target."""
    if not one or not other or one["owner"] != other["owner"]:
        return False
    return (
        _by_artifact([one]).keys() == _by_artifact([other]).keys()
        and one["request"][0] == other["request"][0]
    )


def _by_artifact(tasks: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[int]]:
    """Return (module's target, package) -> its build tasks, oldest first."""
    found: dict[tuple[str, str], list[int]] = {}
    for task in sorted(tasks, key=lambda task: task["id"]):
        request = task["request"] or []
        options = request[2] if len(request) > 2 and isinstance(request[2], dict) else {}
        if options.get("mbs_artifact_name"):
            key = options.get("mbs_module_target") or request[1], options["mbs_artifact_name"]
            found.setdefault(key, []).append(task["id"])
    return found
