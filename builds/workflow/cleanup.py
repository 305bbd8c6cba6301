"""Clean-up for sweeps: builds that ended long ago, stuck builds, and tags that were changed by others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from builds.models import ComponentBuild, ModuleBuild, Wait, clock
from builds.services import log_messages, retirement, transitions
from builds.services.build_system import as_module, build_system
from mbs.errors import MBSError
from mbs.states import ACTIVE, BuildState, parse_build_state


def ended_long_ago() -> list[str]:
    """Return tags of builds that ended ``KOJI_TARGET_DELETE_TIME`` ago and still have a build target."""
    kept = build_system().prepared()
    tags = _ended().filter(koji_tag__in=kept).values_list("koji_tag", flat=True)
    return sorted({tag for tag in tags if tag is not None})


def _ended() -> QuerySet[ModuleBuild]:
    before = clock.now() - timedelta(seconds=settings.MBS.KOJI_TARGET_DELETE_TIME)
    return ModuleBuild.objects.exclude(state__in=ACTIVE).filter(time_completed__lt=before)


def retire(tags: Sequence[str]) -> None:
    """Remove the build targets of these tags, and add a log message to their builds."""
    build_system().retire(list(tags))
    builds = _ended().filter(koji_tag__in=tags).only("pk", "koji_tag")
    log_messages.add((build, f"The build target of {build.koji_tag} was removed.") for build in builds)


def in_repositories() -> QuerySet[ModuleBuild]:
    """Return retired builds that are still in a repository because the task that removes them was lost."""
    return ModuleBuild.objects.filter(state=BuildState.GARBAGE).exclude(repository_url="")


def withdraw(build: ModuleBuild) -> None:
    """Remove a retired build from the repository that users install from."""
    retirement.withdraw(build.pk)


def failed_long_ago() -> QuerySet[ModuleBuild]:
    """Return builds that failed more than ``CLEANUP_FAILED_BUILDS_TIME`` days ago."""
    before = clock.now() - timedelta(days=settings.MBS.CLEANUP_FAILED_BUILDS_TIME)
    return ModuleBuild.objects.filter(state=BuildState.FAILED, time_completed__lt=before)


def discard(build: ModuleBuild) -> None:
    """Move a failed build to garbage, after the build system has untagged its components."""
    build_system().discard(as_module(build))
    with transaction.atomic():
        if transitions.move(build, BuildState.GARBAGE, reason=build.state_reason):
            days = settings.MBS.CLEANUP_FAILED_BUILDS_TIME
            text = f"It failed more than {days} days ago: its builds were untagged, and it cannot be resumed."
            log_messages.add([(build, text)])


def stuck() -> QuerySet[ModuleBuild]:
    """Return builds that have made no progress for ``CLEANUP_STUCK_BUILDS_TIME`` days."""
    before = clock.now() - timedelta(days=settings.MBS.CLEANUP_STUCK_BUILDS_TIME)
    states = [parse_build_state(word) for word in settings.MBS.CLEANUP_STUCK_BUILDS_STATES]
    return ModuleBuild.objects.filter(state__in=states, progress_at__lt=before)


def give_up(build: ModuleBuild) -> None:
    """Fail a stuck build, with its oldest wait as the reason."""
    wait = Wait.objects.filter(module_build=build).order_by("pk").first()
    where = f"{wait.what}, since {wait.created_at:%Y-%m-%d %H:%M} UTC" if wait else "no task works on it"
    transitions.fail(
        build.pk,
        MBSError(
            f"Nothing has happened for {settings.MBS.CLEANUP_STUCK_BUILDS_TIME} days in {build.state_name}, "
            f"batch {build.batch} ({build.phase}): {where}.",
            code="stuck",
            hint="Remove the cause of the wait, and submit the module again to resume.",
        ),
    )


def building() -> QuerySet[ModuleBuild]:
    """Return builds in the state build that have tagged components, without their documents."""
    tagged = _tagged().filter(module_build=OuterRef("pk"))
    rows = ModuleBuild.objects.filter(Exists(tagged), state=BuildState.BUILD)
    return rows.defer("modulemd").order_by("pk")


def untagged(builds: Sequence[ModuleBuild]) -> list[ModuleBuild]:
    """Return those of these builds whose components are missing from their tags."""
    nvrs: dict[int, dict[bool, list[str]]] = {build.pk: {True: [], False: []} for build in builds}
    rows = _tagged().filter(module_build__in=builds)
    for number, final, nvr in rows.values_list("module_build_id", "tagged_in_final", "nvr"):
        if nvr is not None:
            nvrs[number][final].append(nvr)
    wanted = [
        (as_module(build, document=False), nvrs[build.pk][True] + nvrs[build.pk][False]) for build in builds
    ]
    found = build_system().tagged_of(wanted) if wanted else []
    return [
        build
        for build, (_, asked), there in zip(builds, wanted, found, strict=True)
        if not (there.buildroot.issuperset(asked) and there.final.issuperset(nvrs[build.pk][True]))
    ]


def restore_tags(build: ModuleBuild) -> None:
    """Tag the components of a build again that are recorded as tagged."""
    system, module = build_system(), as_module(build)
    components = list(_tagged().filter(module_build=build))
    for final in (True, False):
        nvrs = [str(component.nvr) for component in components if component.tagged_in_final is final]
        if nvrs:
            system.tag(module, nvrs, final=final)


def _tagged() -> QuerySet[ComponentBuild]:
    return ComponentBuild.objects.filter(tagged=True).exclude(nvr=None)
