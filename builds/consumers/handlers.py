"""What the service does about an event."""

from __future__ import annotations

from builds import dispatch
from builds.consumers.koji_events import BuildChanged, BuildTagged, Event, RepoDone
from builds.models import ComponentBuild
from builds.observability import log_context
from builds.services import confirmation, tagging
from buildsys.base import TaskState
from mbs.states import ComponentState

#: what the tag that a module's packages are built in has behind the name of the module's tag
_BUILDROOT = "-build"


def handle(event: Event) -> None:
    """Have what an event tells recorded once it is confirmed, and wake what waits for it.

    What is not known here costs one query with an index.
    """
    match event:
        case BuildChanged():
            _build_changed(event)
        case BuildTagged(tag, nvr):
            final = not tag.endswith(_BUILDROOT)
            tagging.note_tagged(tag.removesuffix(_BUILDROOT), nvr, final=final)
        case RepoDone(tag):
            dispatch.wake(f"repo:{tag.removesuffix(_BUILDROOT)}")


def _build_changed(event: BuildChanged) -> None:
    """Have the build system confirm that a build has ended; a build that begins has nothing to record."""
    if event.state is TaskState.OPEN:
        return
    component = (
        ComponentBuild.objects.filter(task_id=event.task_id, state=ComponentState.BUILDING)
        .select_related("module_build")
        .defer("module_build__modulemd")
        .first()
    )
    if component is not None:
        with log_context.bound(**log_context.of_build(component.module_build)):
            confirmation.confirm_end(component, event.nvr)
