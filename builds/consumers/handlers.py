"""Handle events from the bus."""

from __future__ import annotations

from builds import dispatch
from builds.consumers.koji_events import BuildChanged, BuildTagged, Event, RepoDone
from builds.models import ComponentBuild
from builds.observability import log_context
from builds.services import confirmation, tagging
from buildsys.base import TaskState
from mbs import wait_keys
from mbs.nsvc import BUILD_SUFFIX
from mbs.states import ComponentState


def handle(event: Event) -> None:
    """Record an event after the build system has confirmed it, and wake the tasks that wait for it.

    An event about an unknown build costs one indexed query.
    """
    match event:
        case BuildChanged():
            _build_changed(event)
        case BuildTagged(tag, nvr):
            final = not tag.endswith(BUILD_SUFFIX)
            tagging.record_tagged(tag.removesuffix(BUILD_SUFFIX), nvr, final=final)
        case RepoDone(tag):
            dispatch.wake(wait_keys.repo(tag.removesuffix(BUILD_SUFFIX)))


def _build_changed(event: BuildChanged) -> None:
    """Confirm that a build has ended and record it; ignore the beginning of a build."""
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
