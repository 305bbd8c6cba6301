"""Confirm the end of builds that bus messages report, before it is recorded.

Everyone who can publish on the bus could forge a message, so the build system is asked.
"""

from __future__ import annotations

import logging
import time

from builds import dispatch
from builds.models import ComponentBuild
from builds.services import components, duplicate_tasks
from builds.services.build_system import build_system
from buildsys.base import BuildSystemUnavailable, KnowsBuilds, TaskState, TaskStatus
from mbs.states import ComponentState

log = logging.getLogger(__name__)

#: Further components of the same module that the same call asks about, the oldest first. Components of a
#: batch often end together, and messages about recorded components need no further call.
MAX_OTHERS = 10
#: Seconds without calls after an outage: each may last ``NET_TIMEOUT``.
PAUSE = 30.0
#: Seconds after which the build system is asked again about a submission that failed, but whose reason is not
#: known yet. Koji sends no other message about it: it tells about tasks of scratch builds only.
AGAIN = (2, 5, 15)
#: Name of the task that asks again.
TASK = "poll.ended"
#: States that are recorded. Lost builds are left to the sweep ``open_builds``.
_ENDED = frozenset({TaskState.COMPLETE, TaskState.FAILED, TaskState.CANCELED})


class _Outage:
    """Time at which this process may call the build system again."""

    until = 0.0


def confirm_end(component: ComponentBuild, claimed: str, tries: int = 0) -> set[int]:
    """Ask the build system about a component that a message reports as ended, and record the result.

    Some other components of its module are asked about too. While the build system is unavailable nothing is
    recorded, and the sweep ``open_builds`` does it later.

    Args:
        component: A building component, with its module build.
        claimed: The NVR of the message; empty if it names none.
        tries: How often the build system was asked again since the message.

    Returns:
        Numbers of the components that this call ended.
    """
    if time.monotonic() < _Outage.until:
        return set()
    build = component.module_build
    others = build.component_builds.filter(state=ComponentState.BUILDING).exclude(task_id=None)
    oldest = others.order_by("time_started", "pk").values_list("task_id", "pk")[:MAX_OTHERS]
    numbers = {task_id: pk for task_id, pk in oldest if task_id is not None}
    numbers[int(component.task_id or 0)] = component.pk
    try:
        answers = _ask(list(numbers))
        statuses = duplicate_tasks.reclassify(build, [status for status in answers if status.state in _ENDED])
    except BuildSystemUnavailable as error:
        _Outage.until = time.monotonic() + PAUSE
        log.warning("The end of %s is not recorded before the next sweep: %s", component, error.message)
        return set()
    if any(status.ending for status in answers if status.task_id == component.task_id):
        _ask_later(component, tries)
    else:
        _warn_of_mismatch(component, claimed, statuses)
    return components.record(build, [numbers[status.task_id] for status in statuses], statuses)


def confirm_again(component_id: int, task_id: int, tries: int) -> None:
    """Ask again about a component whose build has failed, unless its end was recorded in the meantime."""
    component = (
        ComponentBuild.objects.filter(pk=component_id, task_id=task_id, state=ComponentState.BUILDING)
        .select_related("module_build")
        .first()
    )
    if component is not None:
        confirm_end(component, "", tries)


def _ask_later(component: ComponentBuild, tries: int) -> None:
    """Send the task that asks again; after the last time, the sweep ``open_builds`` finds the end."""
    if tries < len(AGAIN):
        dispatch.send_now(TASK, component.pk, int(component.task_id or 0), tries + 1, countdown=AGAIN[tries])


def _ask(task_ids: list[int]) -> list[TaskStatus]:
    system = build_system()
    return system.confirm(task_ids) if isinstance(system, KnowsBuilds) else system.statuses(task_ids)


def _warn_of_mismatch(component: ComponentBuild, claimed: str, statuses: list[TaskStatus]) -> None:
    """Log a message that the build system does not confirm."""
    found = next((status for status in statuses if status.task_id == component.task_id), None)
    if found is None:
        log.warning(
            "A message says that task %s of %s has ended; the build system does not confirm it",
            component.task_id,
            component,
        )
    elif claimed and found.nvr and found.nvr != claimed:
        log.warning("A message names %s for %s; the build system says %s", claimed, component, found.nvr)
