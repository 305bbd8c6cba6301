"""The steps of a build. Each reads the database, does the work that is not done yet, and returns its outcome.

A step may run twice, even concurrently: its updates check ``run`` and the state or phase that it starts
from. It returns None when its work is done already, so that a redelivered task continues the canvas. It
raises ``Obsolete`` when the following step has ended too.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from django.db import transaction

from builds import dispatch, selectors
from builds.models import PHASE_TRANSITIONS, ComponentBuild, ModuleBuild, Phase, clock
from builds.models.locking import locked
from builds.services import (
    arches,
    components,
    conflicts,
    documents,
    excerpts,
    log_messages,
    reuse,
    slots,
    tagging,
    transitions,
)
from builds.services.build_system import as_module, build_system
from builds.workflow import buildafter, canvas, checks, waits
from builds.workflow.outcomes import Obsolete, Outcome, Park
from buildsys.base import BuildSystemError, Shipping
from buildsys.recorded import FinalDocuments
from mbs import wait_keys
from mbs.states import ACTIVE, BuildState, ComponentState, IllegalTransition

log = logging.getLogger(__name__)


def initialize(build_id: int, run: int) -> Outcome:
    """Move a build from init to wait: determine commits, architectures, reuse and conflicting RPMs."""
    build = _current_build(build_id, run)
    if build.state == BuildState.INIT:
        if parked := checks.wait(build):
            return parked
        build.arch_names = arches.settle(build, build_system().arches(as_module(build)))
        reuse.apply(build)
        components.estimate(build)
        _move(build, BuildState.WAIT, arch_names=build.arch_names, **conflicts.record(build))
    elif build.state != BuildState.WAIT:
        raise Obsolete
    return None


def prepare(build_id: int, run: int) -> Outcome:
    """Move a build from wait to build: create tags, build groups, target and the first repository."""
    build = _current_build(build_id, run)
    if build.state == BuildState.WAIT:
        if build.new_repo_task_id is None:
            groups = selectors.build_groups(build)
            build_system().prepare(as_module(build, groups=groups), selectors.packages(build))
        before = build.new_repo_task_id
        ready = tagging.first_repo(build)
        message = _repo_message(build, before)
        if not ready:
            _save_repo_request(build, message)
            return _park_for_repo(build)
        _move(build, BuildState.BUILD, message, new_repo_task_id=None, cg_build_koji_tag=None)
    elif build.batch:
        raise Obsolete
    return None


def start_batch(build_id: int, run: int, after: int) -> Outcome:
    """Submit the batch after ``after`` as far as slots are free and begin its chord, or finalize the build.

    Components that are reused, or that ended while they were submitted, get no task in the chord.
    """
    build = _current_build(build_id, run, BuildState.BUILD)
    if build.batch == after == build.batches and build.phase == Phase.DONE:
        canvas.finalize(build).apply_async()
        _set_phase(build, Phase.DONE, Phase.FINALIZING)
        return None
    if build.batch == after:
        _set_phase(build, Phase.DONE, Phase.STARTING, batch=after + 1)
    elif build.batch != after + 1 or build.phase != Phase.STARTING:
        raise Obsolete
    members = sorted(_batch(build), key=lambda component: (-component.weight, component.pk))
    waiting = [component for component in members if component.state is None and not component.blocked]
    ended: set[int] = set()
    try:
        # Lease components of an earlier delivery first: claiming a slot includes the lease.
        (left, first), claimed = slots.lease(build, members), slots.claim(build, waiting)
        ended = components.submit(build, left + claimed, fresh=first + claimed)
    except BuildSystemError as refusal:
        # Each component is then submitted by itself, so that only refused ones fail, for their own reasons.
        log.warning(
            "Batch %s of %s was refused; its components are submitted one by one: %s",
            build.batch,
            build,
            refusal,
        )
    # With ``buildafter``, ended components get a task too, which unblocks others.
    outstanding = [c for c in members if build.graph or not (c.settled or c.pk in ended)]
    if outstanding:
        _park_components(build, outstanding)
    else:
        canvas.after_components(build).apply_async()
        _set_phase(build, Phase.STARTING, Phase.BUILDING)
    return None


def _park_components(build: ModuleBuild, members: Sequence[ComponentBuild]) -> None:
    """Park the tasks of components; complete or wake at once those that need not wait."""
    header = canvas.header(build, members)
    with transaction.atomic():
        # This locks the build: its components get no slots from others before their waits are stored.
        _set_phase(build, Phase.STARTING, Phase.BUILDING)
        # The locks delay the recording of ended components until their waits are stored.
        rows = list(locked(ComponentBuild.objects.filter(pk__in=[component.pk for component in members])))
        known = {component.pk: component for component in rows}
        there = {component.package for component in rows if component.in_buildroot}
        fresh = [known[component.pk] for component in members]
        parks = [_park_for_component(component, there) for component in fresh]
        waits.store(
            waits.row(build.pk, build.run, park, signature)
            for park, signature in zip(parks, header, strict=True)
        )
    components.finish(build, [component for component in fresh if component.settled])
    unsubmitted = [c.wait_key for c in fresh if c.state == ComponentState.BUILDING and c.task_id is None]
    dispatch.wake(unsubmitted)
    if any(component.state is None and not component.blocked for component in fresh):
        slots.hand_out()
    if build.graph:
        buildafter.renew(build)


def _park_for_component(component: ComponentBuild, in_buildroot: Collection[str]) -> Park:
    """Return the wait of a component: for other components, for a slot, or for the end of its build."""
    if component.blocked:
        return buildafter.park(component, in_buildroot)
    if component.state is None:
        return Park(
            wait_keys.slot(component.pk),
            f"{component.package} {slots.WAITS}",
            "the end of another component's build",
            component.pk,
        )
    return Park(
        component.wait_key, f"{component.package} {slots.BUILDS}", "the end of the build", component.pk
    )


def submit_given(build_id: int, run: int) -> Outcome:
    """Submit, in one call, the components of a build that got slots while they waited."""
    build = _current_build(build_id, run, BuildState.BUILD)
    rows = build.component_builds.filter(state=ComponentState.BUILDING, task_id=None, batch=build.batch)
    mine, first = slots.lease(build, list(rows.order_by("-weight", "pk")))
    try:
        ended = components.submit(build, mine, fresh=first)
    except BuildSystemError as refusal:
        log.warning("Components of %s were refused; they are submitted one by one: %s", build, refusal)
        dispatch.wake(component.wait_key for component in mine)
    else:
        components.finish(build, [component for component in mine if component.pk in ended])
    return None


def build_component(build_id: int, run: int, component_id: int) -> Outcome:
    """Submit a component once it has a slot, and wait for the end of its build.

    The event, sweep or local builder that learns the result records it (``components.record``).
    """
    component = ComponentBuild.objects.select_related("module_build").filter(pk=component_id).first()
    if component is None:
        raise Obsolete
    build = component.module_build
    if build.run != run or build.state != BuildState.BUILD:
        raise Obsolete
    if component.settled:
        if build.graph:
            buildafter.ended(build)
        return None
    if component.blocked:
        return buildafter.wait(component)
    if component.state is None:
        claimed = slots.claim(build, [component])
        components.submit(build, claimed, fresh=claimed)
    else:
        leased, first = slots.lease(build, [component])
        components.submit(build, leased, fresh=first)
    return _park_for_component(component, ())


def finish_batch(build_id: int, run: int, batch: int) -> Outcome:
    """Tag a batch when all its components have ended; fail with the names of the failed ones."""
    build = _current_build(build_id, run, BuildState.BUILD, batch)
    # If all components are reused, this may run before start_batch has set the phase to building.
    submitting = (Phase.STARTING, Phase.BUILDING)
    if build.phase not in submitting:
        return _tag(build)
    members = _batch(build)
    unfinished = [c for c in members if c.state != ComponentState.COMPLETE]
    building = next((c for c in unfinished if c.state == ComponentState.BUILDING), None)
    if building is not None:
        return _park_for_component(building, ())
    if unfinished:
        unfinished.sort(key=lambda component: component.package)
        failed = [c for c in unfinished if c.state is not None] or unfinished
        excerpts.store(failed)
        raise _failure(failed)
    _set_phase(build, submitting, Phase.TAGGING, tagging.tagging_message(build, members))
    return _tag(build, members)


def _failure(failed: Sequence[ComponentBuild]) -> BuildSystemError:
    """Return the error of a build: ``infrastructure_failed`` if all its failed components have that cause."""
    message = "; ".join(f"{c.package}: {c.state_reason or c.state_name or 'never started'}" for c in failed)
    if all(component.infrastructure for component in failed):
        return BuildSystemError(
            message,
            code="infrastructure_failed",
            hint="The machines of the build system failed, not the sources: retry the build.",
        )
    return BuildSystemError(
        message,
        code="component_failed",
        hint="Fix the sources, commit, and submit the new commit. A retry builds the same commits again.",
    )


def tag_batch(build_id: int, run: int, batch: int) -> Outcome:
    """Tag the builds of a batch into the buildroot and, unless they are build-time only, into the module."""
    return _tag(_current_build(build_id, run, BuildState.BUILD, batch))


def _tag(build: ModuleBuild, members: Sequence[ComponentBuild] = ()) -> Outcome:
    following = Phase.FINALIZING if build.batch == build.batches else Phase.REGENERATING
    if build.phase != Phase.TAGGING:
        _require_phase(build, following)
        return None
    if not tagging.tag(build, members or _batch(build)):
        return Park(
            wait_keys.tag(str(build.koji_tag)),
            f"batch {build.batch} is being tagged",
            "the build system's report of the tags",
        )
    _set_phase(build, Phase.TAGGING, following, new_repo_task_id=None)
    return None


def regenerate_repo(build_id: int, run: int, batch: int) -> Outcome:
    """Regenerate the buildroot's repository with all batches so far, unless the next batch builds nothing."""
    build = _current_build(build_id, run, BuildState.BUILD, batch)
    if build.phase != Phase.REGENERATING:
        _require_phase(build, Phase.DONE)
        return None
    nvrs = _nvrs_for_next_batch(build)
    before = build.new_repo_task_id
    missing = set(nvrs) - tagging.in_repo(build, nvrs) if nvrs else ()
    message, fields = _repo_message(build, before), {"new_repo_task_id": build.new_repo_task_id}
    if missing:
        if message:
            _set_phase(build, Phase.REGENERATING, Phase.REGENERATING, message, **fields)
        return _park_for_repo(build)
    _set_phase(build, Phase.REGENERATING, Phase.DONE, message, **fields)
    return None


def _nvrs_for_next_batch(build: ModuleBuild) -> list[str]:
    """Return the NVRs that the next batch needs in the buildroot; none if it has nothing to build."""
    nearby = build.component_builds.filter(batch__lte=build.batch + 1)
    rows = list(nearby.values_list("batch", "state", "nvr"))
    if all(state == ComponentState.COMPLETE for batch, state, _ in rows if batch > build.batch):
        return []
    return [nvr for batch, _, nvr in rows if nvr and batch <= build.batch]


def renew_buildroot(build_id: int, run: int) -> Outcome:
    """Add finished builds to the buildroot while blocked components wait for them (``buildafter``)."""
    build = _current_build(build_id, run, BuildState.BUILD)
    while built := buildafter.awaited_builds(build):
        if not tagging.tag(build, built):
            return Park(
                wait_keys.tag(str(build.koji_tag)),
                "new builds are being tagged",
                "the build system's report of the tags",
            )
        before = build.new_repo_task_id
        there = tagging.in_repo(build, [str(component.nvr) for component in built])
        _save_repo_request(build, _repo_message(build, before, built))
        if not there:
            return _park_for_repo(build)
        buildafter.unblock(build, [component for component in built if component.nvr in there])
    return None


def _park_for_repo(build: ModuleBuild) -> Park:
    return Park(
        wait_keys.repo(str(build.koji_tag)),
        f"the repository of {build.koji_tag} is being regenerated",
        "the build system's report of the repository",
    )


def finalize(build_id: int, run: int) -> Outcome:
    """Move a build to done and ready: record the module in the build system, and wait until it is tagged.

    A scratch build stays in done.
    """
    build = _current_build(build_id, run)
    if build.state not in (BuildState.BUILD, BuildState.DONE):
        raise Obsolete
    shipping = _shipping(build)
    if shipping.missing:
        trouble = f" ({shipping.trouble})" if shipping.trouble else ""
        return Park(
            wait_keys.tag(shipping.missing[0]),
            f"{' and '.join(shipping.missing)} to be tagged into {build.cg_build_koji_tag}{trouble}",
            "the build system's report of the tag, or another try",
        )
    states = [BuildState.DONE] if build.scratch else [BuildState.DONE, BuildState.READY]
    with transaction.atomic():
        if transitions.move(build, *states, run=run, phase=Phase.DONE):
            log_messages.add([(build, _finished_message(build))])
    return None


def _finished_message(build: ModuleBuild) -> str:
    if build.scratch:
        return "The module is built. As a scratch build it is not imported into the build system."
    where = f" and tagged into {build.cg_build_koji_tag}" if build.cg_build_koji_tag else ""
    return f"The finished module was imported into the build system as {build.nsvc}{where}."


def _repo_message(build: ModuleBuild, before: int | None, fresh: Sequence[ComponentBuild] = ()) -> str:
    """Return a log message if a repository was requested since ``before``, otherwise an empty text."""
    number = build.new_repo_task_id
    if number is None or number == before:
        return ""
    what = f" with {log_messages.join_names(str(each.nvr) for each in fresh)}" if fresh else ""
    return f"A repository of {build.koji_tag}-build was requested{what} (task {number})."


def _save_repo_request(build: ModuleBuild, message: str) -> None:
    """Save the number of a requested repository, with a log message.

    Raises:
        Obsolete: The build is no longer in this run and state.
    """
    with transaction.atomic():
        rows = ModuleBuild.objects.filter(pk=build.pk, run=build.run, state=build.state)
        if not rows.update(new_repo_task_id=build.new_repo_task_id, progress_at=clock.now()):
            raise Obsolete
        log_messages.add([(build, message)])


def _shipping(build: ModuleBuild) -> Shipping:
    """Record the module in the build system, unless that is done, and return whether it is tagged.

    Raises:
        Obsolete: The build is no longer in this run.
    """
    system, module = build_system(), as_module(build)
    if build.cg_build_koji_tag:
        return system.ship(module, build.cg_build_koji_tag)
    nvrs: Mapping[str, str] = {
        c.package: str(c.nvr) for c in build.component_builds.filter(build_time_only=False) if c.nvr
    }
    result = system.finalize(module, nvrs)
    documents.store(build, FinalDocuments(result.modulemds, result.sizes))
    build.topdir, build.cg_build_koji_tag = result.topdir, result.content_tag or None
    found = {
        "topdir": build.topdir,
        "cg_build_koji_tag": build.cg_build_koji_tag,
        "repository_url": result.delivery.repository_url,
        "repo_file_url": result.delivery.repo_file_url,
        "install": list(result.delivery.install),
    }
    if not ModuleBuild.objects.filter(pk=build.pk, run=build.run, state=build.state).update(**found):
        raise Obsolete
    return result.shipping


def _current_build(
    build_id: int, run: int, state: BuildState | None = None, batch: int | None = None
) -> ModuleBuild:
    """Return the build that a step belongs to.

    Raises:
        Obsolete: The build is deleted, in a newer run, or no longer in this state or batch.
    """
    build = ModuleBuild.objects.filter(pk=build_id).first()
    allowed = ACTIVE | {BuildState.DONE} if state is None else {state}
    if build is None or build.run != run or build.state not in allowed or batch not in (None, build.batch):
        raise Obsolete
    return build


def _batch(build: ModuleBuild) -> list[ComponentBuild]:
    """Return the components of the current batch."""
    members = list(build.component_builds.filter(batch=build.batch).order_by("pk"))
    for component in members:
        component.module_build = build
    return members


def _require_phase(build: ModuleBuild, following: Phase) -> None:
    if build.phase != following:
        raise Obsolete


def _move(build: ModuleBuild, state: BuildState, message: str = "", **fields: Any) -> None:
    with transaction.atomic():
        if not transitions.move(build, state, run=build.run, **fields):
            raise Obsolete
        log_messages.add([(build, message)])


def _set_phase(
    build: ModuleBuild, old: Phase | Sequence[Phase], new: Phase, message: str = "", **fields: Any
) -> None:
    """Change the phase of the batch, and add a log message if one is given.

    Raises:
        Obsolete: The build is in another run or phase already.
        IllegalTransition: A phase has no such transition.
    """
    expected = [old] if isinstance(old, Phase) else old
    if not all(new in PHASE_TRANSITIONS[each] for each in expected):
        raise IllegalTransition(f"A batch cannot go from {expected} to {new}.")
    fields |= {"phase": new, "progress_at": clock.now()}
    rows = ModuleBuild.objects.filter(
        pk=build.pk, run=build.run, state=BuildState.BUILD, batch=build.batch, phase__in=expected
    )
    with transaction.atomic() if message else nullcontext():
        if not rows.update(**fields):
            raise Obsolete
        log_messages.add([(build, message)])
    for name, value in fields.items():
        setattr(build, name, value)
