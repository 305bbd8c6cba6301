"""Components that wait for those they name (``buildafter``), rather than for batches.

All of them are one batch, hence one chord. One that is blocked parks; what has been built is tagged and
put into the buildroot's repository while others build, and whoever has all it names there is unblocked.
Regenerations are shared: whatever ends during one is in the next.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction

from builds import dispatch
from builds.models import ComponentBuild, ModuleBuild
from builds.models.locking import locked
from builds.workflow import canvas, waits
from builds.workflow.outcomes import Outcome, Park
from mbs.states import BuildState, ComponentState

#: what the keys of waits for other components begin with
KEY = "after:"


def wait(component: ComponentBuild) -> Outcome:
    """A blocked component waits; once another one has failed it will not be built at all."""
    build = component.module_build
    if _failed(build):
        return None
    # The task that serves the waiting may have been lost.
    renew(build)
    there = build.component_builds.filter(in_buildroot=True).values_list("package", flat=True)
    return park(component, set(there))


def park(component: ComponentBuild, in_buildroot: Collection[str]) -> Park:
    """Say what a blocked component waits for."""
    missing = sorted(set(component.build_after).difference(in_buildroot))
    return Park(
        _key(component),
        f"{component.package} is built after {', '.join(missing)}",
        "a repository that holds them",
        component.pk,
    )


def ended(build: ModuleBuild) -> None:
    """A component has ended: have it served to those that wait, or tell them that there is no hope."""
    if _failed(build):
        dispatch.wake(_key(component) for component in _blocked(build))
    else:
        renew(build)


def renew(build: ModuleBuild) -> None:
    """Have what was built brought into the buildroot if others wait for it, unless a task does so already."""
    if not awaited_builds(build):
        return
    task = canvas.renew_buildroot(build)
    why = Park(f"repo:{build.koji_tag}", "new builds are to be put into the buildroot", "the worker")
    if waits.begin(build, why, task):
        dispatch.send_signature(task)


def renew_again(build_id: int, run: int) -> None:
    """Serve what was built while the task that serves the waiting came to its end.

    That found the task still recorded, and so has not sent another.
    """
    build = ModuleBuild.objects.filter(pk=build_id, run=run, state=BuildState.BUILD).first()
    if build is not None:
        renew(build)


def awaited_builds(build: ModuleBuild) -> list[ComponentBuild]:
    """What has been built, is not in the buildroot yet, and is waited for."""
    wanted = {package for component in _blocked(build) for package in component.build_after}
    return list(
        build.component_builds.filter(
            batch=build.batch, state=ComponentState.COMPLETE, in_buildroot=False, package__in=wanted
        ).order_by("pk")
    )


def unblock(build: ModuleBuild, arrived: Collection[ComponentBuild]) -> None:
    """Record what is in the buildroot now, and start those that waited for just that."""
    with transaction.atomic():
        members = locked(ComponentBuild.objects.filter(module_build=build))
        numbers = {component.pk for component in arrived}
        ComponentBuild.objects.filter(pk__in={c.pk for c in members} & numbers).update(in_buildroot=True)
        there = {
            component.package for component in members if component.in_buildroot or component.pk in numbers
        }
        free = [c for c in members if c.blocked and there.issuperset(c.build_after)]
        ComponentBuild.objects.filter(pk__in=[component.pk for component in free]).update(blocked=False)
        dispatch.wake(_key(component) for component in free)


def _key(component: ComponentBuild) -> str:
    return f"{KEY}{component.pk}"


def _blocked(build: ModuleBuild) -> list[ComponentBuild]:
    return list(build.component_builds.filter(batch=build.batch, blocked=True))


def _failed(build: ModuleBuild) -> bool:
    settled = build.component_builds.filter(batch=build.batch).exclude(state=None)
    return settled.exclude(state__in=(ComponentState.COMPLETE, ComponentState.BUILDING)).exists()
