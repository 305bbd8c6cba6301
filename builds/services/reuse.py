"""Reuse components of a former build of a module instead of building them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction

from builds.messaging import outbox
from builds.models import ComponentBuild, ComponentBuildTrace, ModuleBuild, clock
from builds.models.locking import locked
from builds.models.saving import save_all
from builds.representations import component_message
from builds.selectors import reuse as selectors
from builds.services import log_messages
from builds.services.build_system import build_system
from builds.services.components import TOPIC
from mbs.reuse import ALL, Decision, decide
from mbs.states import BuildState, ComponentState

_FIELDS = [
    "state",
    "state_reason",
    "nvr",
    "task_id",
    "task_url",
    "time_completed",
    "blocked",
    "reused_component",
    "reuse_code",
    "reuse_detail",
]


@dataclass(frozen=True)
class Reuse:
    """Decisions about the reuse of components in a build.

    Attributes:
        former: The build that its components were compared with.
        decisions: A decision for each component except module-build-macros.
        taken: Package -> the reused component of the former build.
    """

    former: ModuleBuild | None
    decisions: Sequence[Decision]
    taken: dict[str, ComponentBuild]

    @property
    def all_reused(self) -> bool:
        """Return whether all components are reused."""
        return bool(self.decisions) and len(self.taken) == len(self.decisions)


def compare(build: ModuleBuild, components: Sequence[ComponentBuild]) -> Reuse:
    """Decide which components of a build are reused. Nothing is saved.

    Args:
        build: A build with its architectures, which need not be saved.
        components: Its components, which need not be saved, without module-build-macros.
    """
    shared = build_system().capabilities.shares_builds
    present = selectors.parts(build, components)
    former = selectors.former_build(build) if shared and build.rebuild_strategy != ALL else None
    if former is None:
        return Reuse(None, decide(present, None, shared=shared), {})
    theirs = {each.package: each for each in former.component_builds.filter(build_time_only=False)}
    kept = _kept(theirs.values())
    unfinished = [each.package for each in theirs.values() if each.pk not in kept]
    decisions = decide(present, selectors.parts(former, list(theirs.values())), unfinished=unfinished)
    return Reuse(former, decisions, {each.package: theirs[each.package] for each in decisions if each.reused})


def _kept(components: Iterable[ComponentBuild]) -> set[int]:
    """Return the numbers of complete components whose builds still exist in the build system."""
    complete = [each for each in components if each.state == ComponentState.COMPLETE and each.nvr]
    # An unknown submission gets a negative number, which no build system has.
    numbers = {each.pk: each.task_id or -each.pk for each in complete}
    submitted = {numbers[each.pk]: str(each.nvr) for each in complete}
    deleted = build_system().deleted(submitted) if submitted else set()
    return {each.pk for each in complete if numbers[each.pk] not in deleted}


def apply(build: ModuleBuild) -> None:
    """Decide once, for a build in init, which components are reused, and record it.

    Reused components become COMPLETE at once; the workflow tags them in their batches, as it does with built
    ones. If all components are reused, module-build-macros is not needed and is removed.
    """
    with transaction.atomic():
        current = locked(ModuleBuild.objects.filter(pk=build.pk).only("run", "state")).get()
        components = list(locked(build.component_builds.filter(build_time_only=False)))
        decided = any(component.reuse_code for component in components)
        if decided or current.run != build.run or current.state != BuildState.INIT:
            return
        found = compare(build, components)
        _record(components, found)
        taken = [component for component in components if component.package in found.taken]
        history = [
            ComponentBuildTrace(
                component_build=each, state=each.state, state_reason=each.state_reason, task_id=each.task_id
            )
            for each in taken
        ]
        ComponentBuildTrace.objects.bulk_create(history)
        outbox.add(build.pk, [(TOPIC, component_message(each, build)) for each in taken])
        log_messages.add([(build, _summary(found)), *_reasons(components, found)])
        if found.all_reused:
            build.component_builds.filter(build_time_only=True, state=None).delete()
        if found.former:
            build.reused_module = found.former
            ModuleBuild.objects.filter(pk=build.pk).update(reused_module=found.former)


def _record(components: Sequence[ComponentBuild], found: Reuse) -> None:
    now = clock.now()
    for component, decision in zip(components, found.decisions, strict=True):
        component.reuse_code, component.reuse_detail = decision.code, decision.detail
        source = found.taken.get(decision.package)
        if source is None:
            continue
        component.reused_component = source
        component.state, component.state_reason = ComponentState.COMPLETE, f"Reused from {found.former}."
        component.nvr, component.time_completed = source.nvr, now
        component.task_id, component.task_url = source.task_id, source.task_url
        component.blocked = False
    save_all(components, _FIELDS)


def _summary(found: Reuse) -> str:
    """Return the log message of the module build: how many components are reused, and from which build."""
    total = len(found.decisions)
    if found.former is None:
        reason = f": {found.decisions[0].reason}" if found.decisions else ", it has none"
        return f"No components are reused{reason}."
    return (
        f"Components were compared with those of {found.former.nsvc} (module build {found.former.pk}): "
        f"{len(found.taken)} of {total} are reused."
    )


def _reasons(components: Sequence[ComponentBuild], found: Reuse) -> list[tuple[ComponentBuild, str]]:
    """Return the log message of each component: why it is reused or built."""
    return [
        (component, f"{component.package} is {_reason(decision, found)}.")
        for component, decision in zip(components, found.decisions, strict=True)
    ]


def _reason(decision: Decision, found: Reuse) -> str:
    if decision.package in found.taken and found.former:
        source = found.taken[decision.package]
        what = f"{source.nvr} (component build {source.pk})"
        return f"reused from {found.former.nsvc}: {what}, it has not changed"
    return f"built and not reused: {decision.reason}"
