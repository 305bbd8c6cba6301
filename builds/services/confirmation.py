"""Messages about builds are hints: the build system is asked before anything is recorded.

A message names a task, a package and a release, and anybody who can publish on the bus may have made it up.
"""

from __future__ import annotations

import logging
import time

from builds.models import ComponentBuild
from builds.services import components, duplicate_tasks
from builds.services.build_system import build_system
from buildsys.base import BuildSystemUnavailable, KnowsBuilds, TaskState, TaskStatus
from mbs.states import ComponentState

log = logging.getLogger(__name__)

#: Builds of the same module that are asked about others one that is status to have ended, the oldest first:
#: those of a batch often end together, and a message about what is recorded already costs no question.
MAX_OTHERS = 10
#: Seconds without questions after an outage: each may take as long as ``NET_TIMEOUT``.
PAUSE = 30.0
#: What a build system may say that a message is a reason to record. A lost submission is left to the sweep.
_ENDED = frozenset({TaskState.COMPLETE, TaskState.FAILED, TaskState.CANCELED})


class _Outage:
    """When the build system may be asked again, in this process."""

    until = 0.0


def confirm_end(component: ComponentBuild, claimed: str) -> set[int]:
    """Record what the build system says of a component that is status to have ended, and of some others it.

    While the build system is away, nothing happens: the sweep ``open_builds`` asks about all that builds.

    :param component: with its module build; it must be building.
    :param claimed: the NVR that the message names; empty when it names none.
    :return: numbers of the components that this call ended.
    """
    if time.monotonic() < _Outage.until:
        return set()
    build = component.module_build
    others = build.component_builds.filter(state=ComponentState.BUILDING).exclude(task_id=None)
    oldest = others.order_by("time_started", "pk").values_list("task_id", "pk")[:MAX_OTHERS]
    numbers = dict(oldest) | {int(component.task_id or 0): component.pk}
    try:
        statuses = duplicate_tasks.reclassify(
            build, [status for status in _ask(list(numbers)) if status.state in _ENDED]
        )
    except BuildSystemUnavailable as error:
        _Outage.until = time.monotonic() + PAUSE
        log.warning("The end of %s is left to the sweep: %s", component, error.message)
        return set()
    _warn_of_mismatch(component, claimed, statuses)
    return components.record(build, [numbers[status.task_id] for status in statuses], statuses)


def _ask(task_ids: list[int]) -> list[TaskStatus]:
    system = build_system()
    return system.confirm(task_ids) if isinstance(system, KnowsBuilds) else system.statuses(task_ids)


def _warn_of_mismatch(component: ComponentBuild, claimed: str, statuses: list[TaskStatus]) -> None:
    """Log what a message claimed and the build system does not say."""
    status = next((status for status in statuses if status.task_id == component.task_id), None)
    if status is None:
        log.warning(
            "The build system does not say that task %s of %s has ended", component.task_id, component
        )
    elif claimed and status.nvr and status.nvr != claimed:
        log.warning("A message calls %s %s; the build system says %s", component, claimed, status.nvr)
