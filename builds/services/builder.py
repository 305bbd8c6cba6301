"""Run builds on this machine, for build systems that have no machines of their own."""

from __future__ import annotations

from django.db import transaction

from builds import dispatch
from builds.models import ComponentBuild
from builds.observing import context
from builds.services import components
from builds.services.systems import build_system
from buildsys.base import BuildSystem, RunsBuilds, Submission


def run(task_id: int) -> None:
    """Run one submission to its end, record what became of it, and wake what waits for it."""
    system = build_system()
    if not isinstance(system, RunsBuilds):
        raise TypeError(f"The build system {system.name} runs its builds itself.")
    key = system.run(task_id)
    if key is None:
        return
    kind, _, number = key.partition(":")
    with transaction.atomic():
        # Before the messages about it go out, which may wait for the bus.
        dispatch.wake(key)
        if kind == "component":
            _record(system, int(number), task_id)


def _record(system: BuildSystem, component_id: int, task_id: int) -> None:
    component = ComponentBuild.objects.select_related("module_build").filter(pk=component_id).first()
    if component is None:
        return
    # It may have ended before its submitter has stored the number of the submission.
    submission = {component.pk: Submission(task_id)}
    with context.about(**context.of(component.module_build)):
        components.record(component.module_build, [component.pk], system.statuses([task_id]), submission)
