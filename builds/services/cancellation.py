"""Stop a build that is on its way, and start again one that failed."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from builds import dispatch
from builds.models import ComponentBuild, ComponentBuildTrace, ModuleBuild
from builds.models.saving import save_all
from builds.services import transitions
from builds.services.systems import as_module, build_system
from mbs.errors import Conflict, InvalidInput, MBSError
from mbs.states import ACTIVE, BuildState, ComponentState

_FORGOTTEN = [
    "state",
    "task_id",
    "submitting_until",
    "state_reason",
    "nvr",
    "time_completed",
    "attempt",
    "losses",
    "blocked",
]


def cancel(build: ModuleBuild, who: str) -> bool:
    """Fail a build because somebody wants it to stop; what builds for it is stopped too.

    :return: whether this call did it. False: it was canceled before, and nothing changes.
    :raises InvalidInput: when it ended otherwise.
    """
    stopped = transitions.fail(
        build.pk,
        MBSError(f"Canceled by {who}.", code="canceled", hint="Submit it again, or retry it, to resume."),
    )
    build.refresh_from_db()
    if not stopped and build.error_code != "canceled":
        raise _not_cancelable(build)
    return stopped


def cancel_once(build: ModuleBuild, who: str) -> None:
    """The same for somebody who wants to know whether they were the one.

    :raises InvalidInput: when it has ended already, by being canceled too.
    """
    if not cancel(build, who):
        raise _not_cancelable(build)


def _not_cancelable(build: ModuleBuild) -> InvalidInput:
    """The error of canceling a build that is not on its way."""
    how = " (it was canceled)" if build.error_code == "canceled" else ""
    return InvalidInput(
        f"Module build {build.pk} is {build.state_name}{how} and cannot be canceled any more.",
        code="not_cancelable",
        hint="Only builds in init, wait or build can be canceled.",
    )


def resume(build: ModuleBuild, who: str) -> None:
    """Start a failed build again; what was built of it stays built.

    :raises Conflict: when it is not failed, or still being stopped.
    """
    with transaction.atomic():
        locked = ModuleBuild.objects.select_for_update().get(pk=build.pk)
        if locked.state != BuildState.FAILED:
            if locked.state in ACTIVE:
                return
            raise Conflict(
                f"Module build {build.pk} is {locked.state_name}: only a failed build can be resumed.",
                code="not_failed",
            )
        components = ComponentBuild.objects.filter(module_build=locked)
        if components.filter(state=ComponentState.BUILDING).exists():
            raise Conflict(
                f"Components of module build {build.pk} are still being stopped.",
                code="still_stopping",
                hint="Try again in a minute.",
            )
        _start_over(components)
        # It goes on where it stopped: behind the first step unless that one was never done.
        began = BuildState.WAIT if locked.arch_names else BuildState.INIT
        fresh = {"batch": 0, "phase": "done", "new_repo_task_id": None}
        transitions.move(locked, began, reason=f"Resumed by {who}.", **fresh)
        dispatch.advance(build.pk)
    build.refresh_from_db()


def abandon(build_id: int) -> None:
    """Have the build system let go of a build that failed, unless it was resumed meanwhile."""
    build = ModuleBuild.objects.filter(pk=build_id).exclude(state__in=ACTIVE).first()
    if build is not None:
        build_system().abandon(as_module(build))


def _start_over(components: QuerySet[ComponentBuild]) -> None:
    """Forget failures, and what is in tags and buildroot: those may have been removed since."""
    components.update(tagged=False, tagged_in_final=False, in_buildroot=False)
    unfinished = list(components.exclude(state=ComponentState.COMPLETE))
    failed = [component for component in unfinished if component.settled]
    for component in unfinished:
        component.blocked, component.losses = bool(component.build_after), 0
    for component in failed:
        component.state = component.task_id = component.submitting_until = None
        component.state_reason = component.nvr = component.time_completed = None
        component.attempt += 1
    save_all(unfinished, _FORGOTTEN)
    now = timezone.now()
    ComponentBuildTrace.objects.bulk_create(
        [
            ComponentBuildTrace(component_build=c, state=None, state_reason="To be built again.", time=now)
            for c in failed
        ]
    )
