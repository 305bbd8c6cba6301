"""What the service does about an event."""

from __future__ import annotations

from builds import dispatch
from builds.consumers.events import BuildChanged, BuildTagged, Event, RepoDone
from builds.models import ComponentBuild
from builds.observing import context
from builds.services import components, tagging
from buildsys.base import TaskState, TaskStatus
from mbs.states import ComponentState

_REASONS = {
    TaskState.FAILED: "The build failed: the build system has its logs.",
    TaskState.CANCELED: "The build was canceled in the build system.",
}
#: what the tag that a module's packages are built in has behind the name of the module's tag
_BUILDROOT = "-build"


def handle(event: Event) -> None:
    """Record what an event tells, and wake what waits for it.

    What is not known here costs one query with an index.
    """
    match event:
        case BuildChanged():
            _build_changed(event)
        case BuildTagged(tag, nvr):
            final = not tag.endswith(_BUILDROOT)
            tagging.record_tagged(tag.removesuffix(_BUILDROOT), nvr, final=final)
        case RepoDone(tag):
            dispatch.wake(f"repo:{tag.removesuffix(_BUILDROOT)}")


def _build_changed(event: BuildChanged) -> None:
    """The message's word is enough: a build that Koji calls complete is so before its task has closed."""
    component = (
        ComponentBuild.objects.filter(task_id=event.task_id, state=ComponentState.BUILDING)
        .select_related("module_build")
        .defer("module_build__modulemd")
        .first()
    )
    if component is not None:
        status = TaskStatus(event.task_id, event.state, nvr=event.nvr, reason=_REASONS.get(event.state, ""))
        with context.about(**context.of(component.module_build)):
            components.record(component.module_build, [component.pk], [status])
