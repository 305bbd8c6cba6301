"""Run builds on this machine, for build systems without builders of their own."""

from __future__ import annotations

import logging

from django.db.models import Exists, OuterRef, Q

from builds import dispatch
from builds.models import ComponentBuild, Wait
from builds.observability import log_context
from builds.services import components
from builds.services.build_system import build_system
from buildsys.base import BuildSystem, RunsBuilds, Submission, TaskState
from buildsys.local.system import LocalBuildSystem
from mbs.errors import ConfigurationError
from mbs.states import ComponentState

log = logging.getLogger(__name__)

#: Further components of the same module that are asked about when one has ended, the oldest first.
MAX_OTHERS = 10


def check_start() -> None:
    """Check that this machine has the protections that builds need; log missing ones that are optional.

    Raises:
        ConfigurationError: ``LOCAL_BUILD_PROTECTION`` is ``full`` and a protection is missing.
    """
    system = build_system()
    if not isinstance(system, LocalBuildSystem):
        return
    if problems := system.unprotected():
        raise ConfigurationError(
            "Builds cannot run safely on this machine. " + " ".join(problem.message for problem in problems),
            hint=" ".join(problem.hint for problem in problems)
            + " Or set LOCAL_BUILD_PROTECTION to 'possible' if only trusted people submit modules.",
        )
    for lacking in system.protections():
        if not lacking.in_force:
            log.warning("%s %s", lacking.text, lacking.remedy)


def run(task_id: int) -> None:
    """Run a submission to its end, record the result, and wake the task that waits for it."""
    system = build_system()
    if not isinstance(system, RunsBuilds):
        raise TypeError(f"The build system {system.name} runs its builds itself.")
    key = system.run(task_id)
    kind, _, number = (key or "").partition(":")
    if kind == "component":
        _record(system, int(number), task_id)
    elif key:
        dispatch.wake(key)


def _record(system: BuildSystem, component_id: int, task_id: int) -> None:
    """Record the result of a component, and of other components of its module that have ended."""
    # Most results are recorded with those of others. If nothing waits for such a component, nothing is read.
    waits = Exists(Wait.objects.filter(component_build=OuterRef("pk")))
    unfinished = Q(state=ComponentState.BUILDING) | waits
    component = (
        ComponentBuild.objects.only("state", "module_build").filter(unfinished, pk=component_id).first()
    )
    if component is None:
        return
    with log_context.bound(**log_context.of_build(component.module_build)):
        if component.settled or component.pk not in _record_ended(system, component, task_id):
            # It was recorded before, but its recorder may have died, or found no broker, before the wake.
            components.finish(component.module_build, [component])


def _record_ended(system: BuildSystem, component: ComponentBuild, task_id: int) -> set[int]:
    build = component.module_build
    others = build.component_builds.filter(state=ComponentState.BUILDING).exclude(task_id=None)
    begun = others.order_by("time_started", "pk").values_list("task_id", "pk")[:MAX_OTHERS]
    components_of = {number: pk for number, pk in begun if number is not None} | {task_id: component.pk}
    try:
        statuses = system.statuses(list(components_of))
    except Exception:
        log.warning("The statuses of several builds cannot be read; only build %s is", task_id, exc_info=True)
        statuses = system.statuses([task_id])
    ended = [status for status in statuses if status.state is not TaskState.OPEN]
    # A build may be complete before its submitter has saved ``task_id``. Only complete ones are assigned:
    # failed or canceled builds may belong to an earlier attempt.
    complete = {status.task_id for status in ended if status.state is TaskState.COMPLETE}
    submission = {component.pk: Submission(task_id)} if task_id in complete else {}
    return components.record(build, [components_of[status.task_id] for status in ended], ended, submission)
