"""A failure that another task of the same component is to blame for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from builds.models import ComponentBuild, ModuleBuild
from builds.services.build_system import as_jobs, build_system
from buildsys.base import TaskState, TaskStatus
from mbs.states import ComponentState

_ENDED_BADLY = (TaskState.FAILED, TaskState.CANCELED)


def reclassify(build: ModuleBuild, statuses: Sequence[TaskStatus]) -> list[TaskStatus]:
    """Look for another task of the component before a failure is believed.

    A request that the build system carried out after its answer was given up, and after another one was
    sent, makes two tasks. One of them fails because the build "already exists", or is canceled. Such a
    failure is turned into the loss of that task: the next attempt finds the other one.

    :raises BuildSystemUnavailable: it cannot be asked.
    """
    failed = [status.task_id for status in statuses if status.state in _ENDED_BADLY]
    rows = ComponentBuild.objects.filter(
        module_build=build, state=ComponentState.BUILDING, task_id__in=failed
    )
    components = list(rows.order_by("pk")) if failed else []
    if not components:
        return list(statuses)
    others: dict[int, int] = {}
    found = build_system().find(as_jobs(build, components, specs=False))
    for component, submission in zip(components, found, strict=True):
        if submission and component.task_id and submission.task_id != component.task_id:
            others[component.task_id] = submission.task_id
    return [_judged(status, others.get(status.task_id)) for status in statuses]


def _judged(status: TaskStatus, other: int | None) -> TaskStatus:
    if other is None:
        return status
    return replace(
        status, state=TaskState.LOST, reason=f"it is built by task {other}. {status.reason}".strip()
    )
