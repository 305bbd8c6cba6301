"""Run builds on this machine, for build systems that have no machines of their own."""

from __future__ import annotations

import logging

from builds import dispatch
from builds.models import ComponentBuild
from builds.observability import log_context
from builds.services import components
from builds.services.build_system import build_system
from buildsys.base import BuildSystem, RunsBuilds, Submission, TaskState
from buildsys.local.system import LocalBuildSystem
from mbs.errors import ConfigurationError
from mbs.states import ComponentState

log = logging.getLogger(__name__)

#: builds of the same module that are asked about beside one that has ended, those that began first
MAX_OTHERS = 10


def check_start() -> None:
    """Refuse to build where protections of builds are missing; say which where that is allowed.

    :raises ConfigurationError: ``LOCAL_BUILD_PROTECTION`` is ``full`` and something is missing.
    """
    system = build_system()
    if not isinstance(system, LocalBuildSystem):
        return
    if problems := system.unprotected():
        raise ConfigurationError(
            "This machine may not run builds. " + " ".join(problem.message for problem in problems),
            hint=" ".join(problem.hint for problem in problems)
            + " Or set LOCAL_BUILD_PROTECTION to 'possible' where only trusted people submit.",
        )
    for lacking in system.protections():
        if not lacking.in_force:
            log.warning("%s %s", lacking.text, lacking.remedy)


def run(task_id: int) -> None:
    """Run one submission to its end, record what became of it, and wake what waits for it."""
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
    """Record what became of a component, and of those of its module that have ended meanwhile."""
    component = ComponentBuild.objects.select_related("module_build").filter(pk=component_id).first()
    if component is None:
        return
    with log_context.bound(**log_context.of_build(component.module_build)):
        if component.settled or component.pk not in _record_ended(system, component, task_id):
            # Whoever recorded it may have died, or found no broker, before anything was woken.
            components.finish(component.module_build, [component])


def _record_ended(system: BuildSystem, component: ComponentBuild, task_id: int) -> set[int]:
    build = component.module_build
    others = build.component_builds.filter(state=ComponentState.BUILDING).exclude(task_id=None)
    begun = others.order_by("time_started", "pk").values_list("task_id", "pk")[:MAX_OTHERS]
    components_of = dict(begun) | {task_id: component.pk}
    try:
        statuses = system.statuses(list(components_of))
    except Exception:
        log.warning("Only build %s is asked about", task_id, exc_info=True)
        statuses = system.statuses([task_id])
    ended = [status for status in statuses if status.state is not TaskState.OPEN]
    # A build may be complete before its submitter has stored its number. That of another attempt, which
    # failed or was cancelled, must not be taken for it.
    complete = {status.task_id for status in ended if status.state is TaskState.COMPLETE}
    submission = {component.pk: Submission(task_id)} if task_id in complete else {}
    return components.record(build, [components_of[status.task_id] for status in ended], ended, submission)
