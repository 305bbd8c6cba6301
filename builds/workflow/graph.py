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
from builds.workflow import canvas
from builds.workflow.outcomes import Outcome, Park
from mbs.states import ComponentState

#: what the keys of waits for other components begin with
KEY = "after:"


def wait(component: ComponentBuild) -> Outcome:
    """A blocked component waits; once another one has failed it will not be built at all."""
    build = component.module_build
    if _failed(build):
        return None
    if fresh(build):
        # The task that serves the waiting may have been lost; sent again it is still one.
        canvas.renew_buildroot(build).apply_async()
    missing = set(component.build_after) - set(
        build.component_builds.filter(in_buildroot=True).values_list("package", flat=True)
    )
    return Park(
        f"{KEY}{component.pk}",
        f"{component.package} is built after {', '.join(sorted(missing))}",
        "a repository that holds them",
        component.pk,
    )


def ended(build: ModuleBuild) -> None:
    """A component has ended: have it served to those that wait, or tell them that there is no hope."""
    if _failed(build):
        dispatch.wake(_key(component) for component in _blocked(build))
    else:
        canvas.renew_buildroot(build).apply_async()


def fresh(build: ModuleBuild) -> list[ComponentBuild]:
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
        members = build.component_builds.select_for_update().order_by("pk")
        ComponentBuild.objects.filter(pk__in=[c.pk for c in arrived]).update(in_buildroot=True)
        there = set(members.filter(in_buildroot=True).values_list("package", flat=True))
        free = [c for c in members.filter(blocked=True) if there.issuperset(c.build_after)]
        ComponentBuild.objects.filter(pk__in=[component.pk for component in free]).update(blocked=False)
        dispatch.wake(_key(component) for component in free)


def _key(component: ComponentBuild) -> str:
    return f"{KEY}{component.pk}"


def _blocked(build: ModuleBuild) -> list[ComponentBuild]:
    return list(build.component_builds.filter(batch=build.batch, blocked=True))


def _failed(build: ModuleBuild) -> bool:
    settled = build.component_builds.filter(batch=build.batch).exclude(state=None)
    return settled.exclude(state__in=(ComponentState.COMPLETE, ComponentState.BUILDING)).exists()
