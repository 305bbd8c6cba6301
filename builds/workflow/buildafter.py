"""Components that wait for the components they name (``buildafter``), instead of for batches.

All components are in one batch, hence in one chord. A component parks while it is blocked. While others
build, finished components are tagged and the repository of the buildroot is regenerated; a component whose
``build_after`` packages are all in it is unblocked. One regeneration includes all components that ended
before it.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction

from builds import dispatch
from builds.models import ComponentBuild, ModuleBuild
from builds.models.locking import locked
from builds.workflow import canvas, waits
from builds.workflow.outcomes import Outcome, Park
from mbs import wait_keys
from mbs.states import BuildState, ComponentState

#: States of components that have ended otherwise than complete.
_FAILURES = (ComponentState.DELETED, ComponentState.FAILED, ComponentState.CANCELED)


def wait(component: ComponentBuild) -> Outcome:
    """Return the wait of a blocked component; None if another component failed, so that it is not built.

    One that was unblocked before the failure is built: without its task, the batch would not wait for it.
    """
    build = component.module_build
    if _failed(build):
        # After a failure, nothing is unblocked any more.
        component.refresh_from_db(fields=["blocked"])
        if component.blocked:
            return None
    else:
        # Send the task that unblocks components again, in case it was lost.
        renew(build)
    there = build.component_builds.filter(in_buildroot=True).values_list("package", flat=True)
    return park(component, set(there))


def park(component: ComponentBuild, in_buildroot: Collection[str]) -> Park:
    """Return the wait of a blocked component, whose text names the packages that are missing."""
    missing = sorted(set(component.build_after).difference(in_buildroot))
    return Park(
        wait_keys.after(component.pk),
        f"{component.package} is built after {', '.join(missing)}",
        "a repository that contains them",
        component.pk,
    )


def ended(build: ModuleBuild) -> None:
    """Update the buildroot after the end of a component; if one failed, wake the blocked components."""
    if _failed(build):
        dispatch.wake(wait_keys.after(component.pk) for component in _blocked(build))
    else:
        renew(build)


def renew(build: ModuleBuild) -> None:
    """Send the task that updates the buildroot, if blocked components need it and no such task exists."""
    if not awaited_builds(build):
        return
    task = canvas.renew_buildroot(build)
    why = Park(
        wait_keys.repo(str(build.koji_tag)), "new builds are to be added to the buildroot", "a free worker"
    )
    if waits.begin(build, why, task):
        dispatch.send_signature(task)


def renew_again(build_id: int, run: int) -> None:
    """Update the buildroot again for builds that ended while the task that updates it was finishing.

    Their ``renew`` found the wait of that task, and so did not send another.
    """
    build = ModuleBuild.objects.filter(pk=build_id, run=run, state=BuildState.BUILD).first()
    if build is not None:
        renew(build)


def awaited_builds(build: ModuleBuild) -> list[ComponentBuild]:
    """Return built components that are not in the buildroot yet and that blocked components need."""
    wanted = {package for component in _blocked(build) for package in component.build_after}
    return list(
        build.component_builds.filter(
            batch=build.batch, state=ComponentState.COMPLETE, in_buildroot=False, package__in=wanted
        ).order_by("pk")
    )


def unblock(build: ModuleBuild, arrived: Collection[ComponentBuild]) -> None:
    """Record that components arrived in the buildroot, and unblock and wake those that only lacked them.

    Nothing is unblocked after a failure, since the tasks of blocked components may have ended.
    """
    with transaction.atomic():
        # The lock delays the recording of a failure.
        members = list(locked(ComponentBuild.objects.filter(module_build=build)))
        numbers = {component.pk for component in arrived}
        ComponentBuild.objects.filter(pk__in={c.pk for c in members} & numbers).update(in_buildroot=True)
        there = {
            component.package for component in members if component.in_buildroot or component.pk in numbers
        }
        failed = any(c.batch == build.batch and c.state in _FAILURES for c in members)
        free = [c for c in members if c.blocked and there.issuperset(c.build_after) and not failed]
        ComponentBuild.objects.filter(pk__in=[component.pk for component in free]).update(blocked=False)
        dispatch.wake(wait_keys.after(component.pk) for component in free)


def _blocked(build: ModuleBuild) -> list[ComponentBuild]:
    return list(build.component_builds.filter(batch=build.batch, blocked=True))


def _failed(build: ModuleBuild) -> bool:
    return build.component_builds.filter(batch=build.batch, state__in=_FAILURES).exists()
