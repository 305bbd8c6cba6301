"""Submit, record, fail and stop component builds. No other code records their submissions and results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from datetime import UTC, datetime

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from builds import dispatch
from builds.messaging import outbox
from builds.models import ComponentBuild, ComponentBuildTrace, ModuleBuild, clock
from builds.models.locking import locked
from builds.models.saving import save_all
from builds.representations import component_message
from builds.services import log_messages, slots
from builds.services.build_system import as_jobs, build_system
from buildsys.base import AnswerLost, Submission, TaskState, TaskStatus
from mbs.states import ACTIVE, ComponentState

TOPIC = "mbs.component.state.change"

_STATES = {
    TaskState.COMPLETE: ComponentState.COMPLETE,
    TaskState.FAILED: ComponentState.FAILED,
    TaskState.CANCELED: ComponentState.CANCELED,
}
_FIELDS = [
    "state",
    "state_reason",
    "infrastructure",
    "task_id",
    "task_url",
    "nvr",
    "attempt",
    "losses",
    "submitting_until",
    "time_started",
    "time_completed",
]


def estimate(build: ModuleBuild) -> None:
    """Save estimated build times for components that this service has never built."""
    ComponentBuild.objects.bulk_update(set_estimates(build.component_builds.filter(state=None)), ["weight"])


def set_estimates(components: Iterable[ComponentBuild]) -> list[ComponentBuild]:
    """Set the build system's estimates as weights of components without a weight; save nothing.

    Returns:
        The components that got a weight.
    """
    unknown = {component.package: component for component in components if not component.weight}
    seconds = build_system().expected_seconds(sorted(unknown))
    for package, weight in seconds.items():
        unknown[package].weight = weight
    return [unknown[package] for package in seconds]


def submit(
    build: ModuleBuild, components: Sequence[ComponentBuild], *, fresh: Sequence[ComponentBuild] = ()
) -> set[int]:
    """Submit components to the build system, and record the submissions.

    The caller holds their slots and submission leases. A task that the build system already has for a
    component is adopted.

    Args:
        build: Their module build.
        components: The components.
        fresh: Those that were not submitted before in this attempt, so that the build system cannot have a
            task for them.

    Returns:
        Numbers of the components that have ended already.

    Raises:
        AnswerLost: The build system may have accepted them. Their leases are kept until they expire, so that
            nothing is submitted twice before the build system has decided.
        SoftTimeLimitExceeded: The task took too long. This may have interrupted a call that the build system
            is still carrying out, so the leases are kept too.
        BuildSystemUnavailable: The build system is unavailable and has accepted nothing.
        BuildSystemError: The build system refuses them.
    """
    if not components:
        return set()
    try:
        submissions = _submit(build, components, fresh)
    except (AnswerLost, SoftTimeLimitExceeded):
        raise
    except Exception:
        # Others may submit them now; the next try finds tasks that the build system did create.
        slots.release(components)
        raise
    try:
        return _record_submitted(build, submissions)
    except (OperationalError, InterfaceError):
        # The build system has accepted them. The next try finds them, without waiting for the leases to
        # expire.
        connection.close()
        with suppress(OperationalError, InterfaceError):
            slots.release(components)
        raise


def _record_submitted(build: ModuleBuild, submissions: Mapping[int, Submission]) -> set[int]:
    known = [submission.status for submission in submissions.values() if submission.status]
    ended = record(build, submissions.keys(), known, submissions, submitting=True)
    # Events that arrived before ``task_id`` was saved were ignored, so ask once. Tasks that are open change
    # nothing.
    rest = {submission.task_id: pk for pk, submission in submissions.items() if not submission.status}
    if rest:
        statuses = [s for s in build_system().statuses(list(rest)) if s.state is not TaskState.OPEN]
        if statuses:
            ended |= record(build, [rest[s.task_id] for s in statuses], statuses, submitting=True)
    return ended


def _submit(
    build: ModuleBuild, components: Sequence[ComponentBuild], fresh: Sequence[ComponentBuild]
) -> dict[int, Submission]:
    jobs = as_jobs(build, components, fresh=fresh)
    submissions = build_system().submit(jobs)
    return {job.component_id: submission for job, submission in zip(jobs, submissions, strict=True)}


def record(
    build: ModuleBuild,
    component_ids: Iterable[int],
    statuses: Iterable[TaskStatus],
    submissions: Mapping[int, Submission] | None = None,
    *,
    submitting: bool = False,
) -> set[int]:
    """Record the build system's statuses of components, and wake the tasks that wait for them.

    Events, sweeps and submissions use it. A status that is recorded already changes nothing. A lost build is
    built again, with at most ``MAX_ATTEMPTS`` attempts; a build that failed because of the infrastructure,
    ``INFRASTRUCTURE_RETRIES`` times.

    Args:
        build: The module build of all these components.
        component_ids: Their numbers.
        statuses: Statuses of their tasks.
        submissions: New submissions, by component number.
        submitting: Whether the caller is submitting them and checks them afterwards, so that nothing is
            woken.

    Returns:
        Numbers of the components that this call ended.
    """
    known = {status.task_id: status for status in statuses}
    with transaction.atomic():
        # Writing messages locks the build, which must be locked before its components.
        present = list(locked(ModuleBuild.objects.filter(pk=build.pk)).values_list("state", "run"))
        if submitting and not any(state in ACTIVE and run == build.run for state, run in present):
            # The build was stopped meanwhile, before these submissions were recorded.
            dispatch.send("workflow.stop_components", build.pk)
        rows = locked(
            ComponentBuild.objects.filter(pk__in=list(component_ids), state=ComponentState.BUILDING)
        )
        history: list[ComponentBuildTrace] = []
        retries: list[tuple[ComponentBuild, str]] = []
        changed: list[ComponentBuild] = []
        for component in rows:
            before = _values(component)
            submission = (submissions or {}).get(component.pk)
            if submission and component.task_id is None:
                component.task_id, component.task_url = submission.task_id, submission.url
                component.submitting_until = None
                history.append(_trace(component))
            status = known.get(component.task_id or 0)
            if status and _apply(component, status):
                history.append(_trace(component))
                if not component.settled:
                    message = f"{component.package} is built again. {component.state_reason}"
                    retries.append((component, message))
            if _values(component) != before:
                changed.append(component)
        if not changed:
            return set()
        save_all(changed, _FIELDS)
        ComponentBuildTrace.objects.bulk_create(history)
        log_messages.add(retries)
        settled = [component for component in changed if component.settled]
        if not submitting:
            dispatch.wake(component.wait_key for component in changed if component.task_id is None)
            finish(build, settled)
        if settled:
            transaction.on_commit(slots.hand_out, robust=True)
        if history:
            # After the wakes, so that these do not wait for the bus.
            messages = [(TOPIC, component_message(_at_step(step), build)) for step in history]
            outbox.add(build.pk, messages, locked=True)
        return {component.pk for component in settled}


def finish(build: ModuleBuild, components: Iterable[ComponentBuild]) -> None:
    """Continue the workflow after the end of components.

    Their tasks count as done; with ``buildafter`` they are woken, since they unblock other components.
    """
    keys = [component.wait_key for component in components]
    if build.graph:
        dispatch.wake(keys)
    else:
        dispatch.complete(keys)


def _apply(component: ComponentBuild, status: TaskStatus) -> bool:
    """Update a component from its status; return whether this is a change for its history."""
    component.task_url = status.url or component.task_url
    component.nvr = status.nvr or component.nvr
    if status.started:
        component.time_started = datetime.fromtimestamp(status.started, UTC)
    if status.state is TaskState.OPEN:
        return False
    if _is_retried(component, status):
        word = "was lost" if status.state is TaskState.LOST else "failed because of the infrastructure"
        component.state_reason = f"Attempt {component.attempt} {word}: {status.reason}"
        component.attempt, component.losses = component.attempt + 1, component.losses + 1
        component.task_id = component.submitting_until = None
        return True
    component.state = _STATES.get(status.state, ComponentState.FAILED)
    component.state_reason = status.reason or None
    component.infrastructure = status.infrastructure or status.state is TaskState.LOST
    component.time_completed = datetime.fromtimestamp(status.ended, UTC) if status.ended else clock.now()
    return True


def _is_retried(component: ComponentBuild, status: TaskStatus) -> bool:
    """Return whether a lost or failed build is repeated automatically."""
    if status.state is TaskState.LOST:
        return component.losses + 1 < settings.MBS.MAX_ATTEMPTS
    failed = status.state is TaskState.FAILED and status.infrastructure
    return failed and component.losses < settings.MBS.INFRASTRUCTURE_RETRIES


def _values(component: ComponentBuild) -> list[object]:
    return [getattr(component, name) for name in _FIELDS]


def _trace(component: ComponentBuild) -> ComponentBuildTrace:
    """Return the present state of a component, for its history and for the message about it."""
    return ComponentBuildTrace(
        component_build=component,
        state=component.state,
        state_reason=component.state_reason,
        task_id=component.task_id,
        time=clock.now(),
    )


def _at_step(step: ComponentBuildTrace) -> ComponentBuild:
    """Return the component as it was at this step of its history."""
    component = copy(step.component_build)
    component.state, component.state_reason = step.state, step.state_reason
    component.task_id = step.task_id
    return component


def fail(component_id: int, reason: str, *, run: int | None = None) -> None:
    """Fail a component for a reason other than its build's result, and cancel its task.

    Args:
        component_id: Its number.
        reason: Reason for people.
        run: If given, the component fails only if this is still the run of its module build.
    """
    with transaction.atomic():
        builds = ModuleBuild.objects.filter(component_builds=component_id)
        build = locked(builds if run is None else builds.filter(run=run)).first()
        component = locked(ComponentBuild.objects.filter(pk=component_id)).first() if build else None
        if build is None or component is None or component.settled:
            return
        component.module_build = build
        component.state, component.state_reason = ComponentState.FAILED, reason
        component.time_completed, component.submitting_until = clock.now(), None
        if component.task_id:
            stale = [component.task_id]
            transaction.on_commit(lambda: build_system().cancel(stale), robust=True)
        component.save(update_fields=["state", "state_reason", "time_completed", "submitting_until"])
        _trace(component).save()
        log_messages.add([(component, f"{component.package} failed: {reason}")])
        finish(build, [component])
        transaction.on_commit(slots.hand_out, robust=True)
        outbox.add(build.pk, [(TOPIC, component_message(component, build))])


def stop(build_id: int) -> None:
    """Cancel the components that still build for a module build that is not active any more.

    A component stays BUILDING, and keeps its slot, until the build system reports its end. A component
    without a recorded submission may have a task nevertheless, whose submitter died: it is searched for and
    canceled too.
    """
    # The same query reads the build's state: components of a build that was just resumed must go on.
    rows = ComponentBuild.objects.filter(module_build=build_id, state=ComponentState.BUILDING)
    components = list(rows.exclude(module_build__state__in=ACTIVE).select_related("module_build"))
    if not components:
        return
    build, system = components[0].module_build, build_system()
    unknown = slots.lease_to_stop([c for c in components if c.task_id is None])
    try:
        jobs = as_jobs(build, unknown)
        found = {job.component_id: each for job, each in zip(jobs, system.find(jobs), strict=True) if each}
    except Exception:
        slots.release(unknown)
        raise
    numbers = [component.task_id for component in components if component.task_id]
    numbers += [submission.task_id for submission in found.values()]
    system.cancel(numbers)
    record(build, [component.pk for component in components], system.statuses(numbers), found)
    for component in unknown:
        if component.pk not in found:
            fail(
                component.pk,
                "The module build was stopped before this component was submitted.",
                run=build.run,
            )
