"""The state machine: a change is recorded together with its trace and its message, or not at all."""

from __future__ import annotations

from itertools import product

import pytest

from builds.messaging import outbox
from builds.models import ModuleBuild, OutboxMessage, Wait
from builds.services import transitions
from mbs.errors import MBSError
from mbs.states import ACTIVE, TRANSITIONS, BuildState, ComponentState, IllegalTransition
from tests.factories import component_build, module_build, wait

pytestmark = pytest.mark.django_db(transaction=True)


def told(build: ModuleBuild) -> list[int]:
    return [message.body["state"] for message in build.outbox.all()]


@pytest.mark.parametrize(("old", "new"), list(product(BuildState, BuildState)))
def test_only_what_the_state_machine_knows_happens(old: BuildState, new: BuildState) -> None:
    build = module_build(state=old)
    traces = build.state_trace.count()
    if new in TRANSITIONS[old]:
        assert transitions.move(build, new, reason="because")
        assert (build.state_trace.count(), told(build)) == (traces + 1, [new])
    elif new == old:
        assert not transitions.move(build, new)
    else:
        with pytest.raises(IllegalTransition):
            transitions.move(build, new)
    if new not in TRANSITIONS[old]:
        assert (build.state_trace.count(), told(build)) == (traces, [])
        assert ModuleBuild.objects.get(pk=build.pk).state == old


def test_the_second_of_two_movers_changes_nothing() -> None:
    build = module_build(state=BuildState.WAIT)
    other = ModuleBuild.objects.get(pk=build.pk)
    assert transitions.move(build, BuildState.BUILD)
    assert not transitions.move(other, BuildState.BUILD)
    assert not transitions.move(other, BuildState.FAILED)
    assert told(build) == [BuildState.BUILD]


def test_an_older_run_moves_nothing() -> None:
    build = module_build(state=BuildState.WAIT, run=2)
    assert not transitions.move(build, BuildState.BUILD, run=1)
    assert transitions.move(build, BuildState.BUILD, run=2)


def test_fact_trace_and_message_are_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    build = module_build(state=BuildState.WAIT)
    traces = build.state_trace.count()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no message can be written")

    monkeypatch.setattr(outbox, "add", broken)
    with pytest.raises(RuntimeError):
        transitions.move(build, BuildState.BUILD)
    assert ModuleBuild.objects.get().state == BuildState.WAIT
    assert build.state_trace.count() == traces


@pytest.mark.parametrize("state", BuildState)
def test_only_what_is_on_its_way_fails(state: BuildState, sent_tasks: list[tuple]) -> None:
    build = module_build(state=state, run=3)
    wait(build, run=3)
    error = MBSError("It broke.", code="broken", hint="Mend it.")
    assert not transitions.fail(build.pk, error, run=2)
    assert transitions.fail(build.pk, error, run=3) is (state in ACTIVE)
    assert not transitions.fail(build.pk, error)
    build.refresh_from_db()
    if state in ACTIVE:
        assert (build.state, build.state_reason) == (BuildState.FAILED, "It broke.")
        assert (build.error_code, build.error_hint) == ("broken", "Mend it.")
        assert not Wait.objects.exists()
        assert (build.run, sent_tasks) == (4, [("workflow.abandon", build.pk, 4)])
    else:
        assert (sent_tasks, build.state, OutboxMessage.objects.count()) == ([], state, 0)


def test_components_of_a_failed_build_are_stopped(sent_tasks: list[tuple]) -> None:
    build = module_build(state=BuildState.BUILD)
    component_build(build, state=ComponentState.BUILDING)
    transitions.fail(build.pk, MBSError("It broke."))
    assert sent_tasks == [("workflow.stop_components", build.pk), ("workflow.abandon", build.pk, 1)]
