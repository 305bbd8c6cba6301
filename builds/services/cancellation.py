"""Cancel an active build, and resume a failed one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import transaction
from django.db.models import Q, QuerySet

from builds import dispatch
from builds.messaging import outbox
from builds.models import ComponentBuild, ComponentBuildTrace, ModuleBuild, clock
from builds.models.locking import locked
from builds.models.saving import save_all
from builds.representations import component_message
from builds.services import audit, log_messages, transitions
from builds.services.build_system import as_module, build_system
from builds.services.components import TOPIC
from builds.services.lease import SECONDS, Lease
from buildsys.base import BuildSystemError
from mbs.errors import Conflict, InvalidInput, MBSError
from mbs.states import ACTIVE, BuildState, ComponentState

log = logging.getLogger(__name__)

_RESET = [
    "state",
    "task_id",
    "submitting_until",
    "state_reason",
    "infrastructure",
    "excerpt",
    "nvr",
    "time_completed",
    "attempt",
    "losses",
    "blocked",
]

_AGAIN = "To be built again."


def cancel(build: ModuleBuild, who: str) -> bool:
    """Fail a build on request, and stop its components.

    Args:
        build: The build.
        who: Name of the user who cancels it.

    Returns:
        Whether this call canceled it; False if it was canceled before.

    Raises:
        InvalidInput: The build has ended otherwise.
    """
    reason = MBSError(
        f"Canceled by {who}.",
        code="canceled",
        hint="Submit the module again, or retry the build, to resume.",
    )
    with transaction.atomic():
        stopped = transitions.fail(build.pk, reason)
        if stopped:
            audit.record(audit.CANCELED, who, build)
    build.refresh_from_db()
    if not stopped and build.error_code != "canceled":
        raise _not_cancelable(build)
    return stopped


def cancel_once(build: ModuleBuild, who: str) -> None:
    """Cancel a build; unlike ``cancel``, refuse it if the build was canceled before.

    Raises:
        InvalidInput: The build has ended already.
    """
    if not cancel(build, who):
        raise _not_cancelable(build)


def _not_cancelable(build: ModuleBuild) -> InvalidInput:
    """Return the error of canceling a build that is not active."""
    how = " (it was canceled)" if build.error_code == "canceled" else ""
    return InvalidInput(
        f"Module build {build.pk} is {build.state_name}{how} and cannot be canceled any more.",
        code="not_cancelable",
        hint="Only builds in the states init, wait and build can be canceled.",
    )


def resume(build: ModuleBuild, who: str) -> None:
    """Resume a failed build; components that are complete are kept.

    An active build is left as it is.

    Raises:
        Conflict: The build has not failed, or is still being stopped.
    """
    with transaction.atomic():
        failed = locked(ModuleBuild.objects.filter(pk=build.pk)).get()
        if failed.state != BuildState.FAILED:
            if failed.state in ACTIVE:
                return
            raise Conflict(
                f"Module build {build.pk} is {failed.state_name}: only a failed build can be resumed.",
                code="not_failed",
                hint="To build the same commit again, use rebuild.",
            )
        components = list(locked(ComponentBuild.objects.filter(module_build=failed)))
        building = any(component.state == ComponentState.BUILDING for component in components)
        if building or (failed.abandoning_until and failed.abandoning_until > clock.now()):
            raise Conflict(
                f"Components of module build {build.pk} are still being stopped.",
                code="still_stopping",
                hint=f"Try again in {SECONDS} seconds.",
            )
        _start_over(failed, components)
        # Skip the step ``initialize`` if it was completed before.
        unresolved = any(component.unresolved_ref for component in components)
        began = BuildState.WAIT if failed.arch_names and not unresolved else BuildState.INIT
        reason, new_run = f"Resumed by {who}.", failed.run + 1
        transitions.move(
            failed,
            began,
            reason=reason,
            new_run=new_run,
            batch=0,
            phase="done",
            new_repo_task_id=None,
            abandon_since=None,
        )
        log_messages.add([(failed, reason)])
        audit.record(audit.RETRIED, who, failed)
        dispatch.advance(build.pk)
    build.refresh_from_db()


def to_abandon() -> QuerySet[ModuleBuild]:
    """Return the failed builds that are still to be abandoned, without those being abandoned now."""
    free = Q(abandoning_until=None) | Q(abandoning_until__lt=clock.now())
    return ModuleBuild.objects.filter(free, abandon_since__isnull=False).exclude(state__in=ACTIVE)


def abandon(build_id: int, run: int) -> bool:
    """Have the build system abandon a failed build, unless the build was resumed meanwhile.

    The call may take minutes. The build cannot be resumed until it has ended: otherwise the call would cancel
    tasks of the new run.

    Args:
        build_id: Number of the build.
        run: Run of the build since it failed.

    Returns:
        Whether this call abandoned it. False if it was abandoned before, if another process is abandoning
        it, or if it was resumed.

    Raises:
        BuildSystemUnavailable: The build system is unavailable. The sweep ``failed_builds`` tries again.
    """
    row = ModuleBuild.objects.filter(pk=build_id)
    lease = Lease(row, "abandoning_until", f"abandoning module build {build_id}")
    # One statement: either this sees a resumption, or the resumption sees the lease.
    if not lease.take(Q(run=run, abandon_since__isnull=False) & ~Q(state__in=ACTIVE)):
        return False
    done: dict[str, None] = {}
    try:
        with lease:
            _abandon(row.get())
        done = {"abandon_since": None}
    finally:
        lease.end(**done)
    return True


def _abandon(build: ModuleBuild) -> None:
    """Have the build system abandon a build. Report a refusal: trying again would not help."""
    try:
        build_system().abandon(as_module(build))
    except BuildSystemError as refusal:
        log.warning("The build system did not abandon module build %s: %s", build.pk, refusal)
        log_messages.add([(build, f"The build system did not stop the tasks of the build: {refusal}")])


def _start_over(build: ModuleBuild, components: Sequence[ComponentBuild]) -> None:
    """Reset failed components, and the tags of all components, since builds may have been untagged."""
    in_tags = {"tagged": False, "tagged_in_final": False, "in_buildroot": False}
    ComponentBuild.objects.filter(pk__in=[component.pk for component in components]).update(**in_tags)
    unfinished = [component for component in components if component.state != ComponentState.COMPLETE]
    failed = [component for component in unfinished if component.settled]
    for component in unfinished:
        for name, value in in_tags.items():
            setattr(component, name, value)
        component.blocked, component.losses = bool(component.build_after), 0
    for component in failed:
        component.state = component.task_id = component.submitting_until = None
        component.state_reason = component.nvr = component.time_completed = None
        component.infrastructure, component.excerpt = False, None
        component.attempt += 1
    save_all(unfinished, _RESET)
    now = clock.now()
    ComponentBuildTrace.objects.bulk_create(
        [ComponentBuildTrace(component_build=c, state=None, state_reason=_AGAIN, time=now) for c in failed]
    )
    messages = [
        (TOPIC, {**component_message(component, build), "state_reason": _AGAIN}) for component in failed
    ]
    outbox.add(build.pk, messages, locked=True)
