"""Change the state of module builds. No other code does."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction

from builds import dispatch
from builds.messaging import outbox
from builds.models import ComponentBuild, ModuleBuild, ModuleBuildTrace, clock
from builds.models.locking import locked
from builds.observability import log_context
from builds.observability.metrics import service_metrics
from builds.representations import module_message
from builds.services import excerpts, log_messages
from mbs.errors import MBSError, failure_kind
from mbs.states import ACTIVE, BuildState, ComponentState, check_transition

log = logging.getLogger(__name__)

TOPIC = "mbs.module.state.change"


def announce(build: ModuleBuild, states: list[tuple[BuildState, str | None]]) -> None:
    """Write the history and the messages for the states that a build went through in this transaction.

    Each message describes the build in the state that it reports. ``build`` is in the last state.
    """
    now = clock.now()
    ModuleBuildTrace.objects.bulk_create(
        [ModuleBuildTrace(module_build=build, state=s, state_reason=r, time=now) for s, r in states]
    )
    component_ids = list(
        ComponentBuild.objects.filter(module_build=build).order_by("id").values_list("pk", flat=True)
    )
    siblings = list(
        ModuleBuild.objects.filter(
            name=build.name, stream=build.stream, version=build.version, scratch=build.scratch
        )
        .exclude(pk=build.pk)
        .order_by("id")
        .values_list("pk", flat=True)
    )
    last = build.state, build.state_reason
    messages = []
    for build.state, build.state_reason in states:
        messages.append((TOPIC, module_message(build, component_ids=component_ids, siblings=siblings)))
    build.state, build.state_reason = last
    outbox.add(build.pk, messages, locked=True)  # by the update or insert of its row
    # Not a partial: Django logs the name of a callback that fails, and a partial has none.
    transaction.on_commit(lambda: _report(build, states), robust=True)


def _report(build: ModuleBuild, states: list[tuple[BuildState, str | None]]) -> None:
    """Count and log committed changes."""
    for state, reason in states:
        if state == BuildState.DONE:
            service_metrics().succeeded.inc()
        elif state == BuildState.FAILED:
            service_metrics().failed.labels(failure_kind(build.error_code)).inc()
        with log_context.bound(**log_context.of_build(build)):
            log.info("Module build %s is %s%s", build.pk, state.word, f": {reason}" if reason else "")


def move(
    build: ModuleBuild,
    *states: BuildState,
    reason: str | None = None,
    run: int | None = None,
    new_run: int | None = None,
    **fields: Any,
) -> bool:
    """Move a build through one or more states in one transaction, with history and messages.

    Args:
        build: The build. Nothing happens if its state in the database has changed since it was read.
        states: The states, in order.
        reason: Reason of the last state, for people.
        run: If given, nothing happens unless this is still the build's run.
        new_run: Run of the build from now on.
        fields: Further columns to set in the same statement.

    Returns:
        Whether this call changed the state. If not, ``build`` is unchanged.

    Raises:
        IllegalTransition: The state machine has no such transition.
    """
    current = BuildState(build.state)
    if current == states[-1]:
        return False
    passed = []
    for state in states:
        if check_transition(current, state):
            passed.append((state, reason if state == states[-1] else None))
            current = state
    now = clock.now()
    fields |= {"state": int(current), "state_reason": reason, "time_modified": now, "progress_at": now}
    if new_run is not None:
        fields["run"] = new_run
    if current in ACTIVE:
        fields |= {"error_code": "", "error_hint": "", "error_excerpt": None, "time_completed": None}
        if build.state == BuildState.FAILED:
            fields["started_at"] = now
    else:
        fields.setdefault("time_completed", now)
    # Callers that are in a transaction roll all of it back after an error.
    with transaction.atomic(savepoint=False):
        row = ModuleBuild.objects.filter(pk=build.pk, state=build.state)
        if run is not None:
            row = row.filter(run=run)
        if not row.update(**fields):
            return False
        for name, value in fields.items():
            setattr(build, name, value)
        announce(build, passed)
    return True


def fail(build_id: int, error: MBSError, *, run: int | None = None) -> bool:
    """Fail an active build, end its run, and stop its components.

    Args:
        build_id: Number of the build.
        error: The reason.
        run: If given, nothing happens unless this is still the build's run.

    Returns:
        Whether this call failed it.
    """
    with transaction.atomic():
        build = locked(ModuleBuild.objects.filter(pk=build_id)).first()
        if build is None or build.state not in ACTIVE or run not in (None, build.run):
            return False
        # The new run makes steps that are still running obsolete, also after a resumption.
        move(
            build,
            BuildState.FAILED,
            reason=error.message,
            new_run=build.run + 1,
            error_code=error.code,
            error_hint=error.hint,
            error_excerpt=excerpts.of_module(build) if error.code in excerpts.CODES else None,
            abandon_since=clock.now(),
        )
        log_messages.add([(build, error.message)])
        dispatch.delete_all_waits(build_id)
        if ComponentBuild.objects.filter(module_build=build, state=ComponentState.BUILDING).exists():
            dispatch.send("workflow.stop_components", build_id)
        dispatch.send("workflow.abandon", build_id, build.run)
    return True
