"""Run builds on this machine, for build systems that have no machines of their own."""

from __future__ import annotations

from builds import dispatch
from builds.models import ComponentBuild
from builds.observing import context
from builds.selectors.prepared import Instances
from builds.services import components
from builds.services.systems import build_system
from buildsys.base import BuildSystem, RunsBuilds, Submission
from mbs.states import ComponentState

_components = Instances(ComponentBuild, parent="module_build")


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
    (component,) = _components([component_id]) or [None]
    if component is None or component.settled:
        return
    build = component.module_build
    beside = build.component_builds.filter(state=ComponentState.BUILDING).exclude(task_id=None)
    tasks = dict(beside.values_list("pk", "task_id")) | {component.pk: task_id}
    # It may have ended before its submitter has stored the number of the submission.
    submission = {component.pk: Submission(task_id)}
    with context.about(**context.of(build)):
        components.record(build, tasks, system.statuses(list(tasks.values())), submission)
