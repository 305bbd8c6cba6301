"""Recognise failures that are caused by a second task of the same component."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from builds.models import ComponentBuild, ModuleBuild
from builds.services.build_system import as_jobs, build_system
from buildsys.base import TaskState, TaskStatus
from mbs.states import ComponentState

_ENDED_BADLY = (TaskState.FAILED, TaskState.CANCELED)


def reclassify(build: ModuleBuild, statuses: Sequence[TaskStatus]) -> list[TaskStatus]:
    """Turn failures into LOST where the build system has another task for the same component.

    If the response to a submission is lost and the submission is repeated, the build system may have two
    tasks. One of them is canceled, or fails because the build "already exists". The next attempt of the
    component adopts the other task.

    Raises:
        BuildSystemUnavailable: The build system is unavailable.
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
    return [_reclassified(status, others.get(status.task_id)) for status in statuses]


def _reclassified(status: TaskStatus, other: int | None) -> TaskStatus:
    if other is None:
        return status
    return replace(
        status, state=TaskState.LOST, reason=f"it is built by task {other}. {status.reason}".strip()
    )
