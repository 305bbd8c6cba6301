"""Cancellation and resumption: running builds are stopped, finished ones kept, resumed ones not stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from builds.models import ComponentBuild, ModuleBuild, clock
from builds.services import cancellation, components, transitions
from builds.services.build_system import as_jobs, as_module, build_system
from builds.services.lease import SECONDS, Lease
from builds.workflow import sweeps
from buildsys.base import (
    BuildSystem,
    BuildSystemError,
    BuildSystemUnavailable,
    Module,
    TaskState,
    TaskStatus,
)
from mbs.errors import Conflict
from mbs.states import BuildState, ComponentState
from tests.factories import component_build, module_build

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def system(tmp_path: Path, option: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> BuildSystem:
    """A simulated build system whose builds take an hour."""
    monkeypatch.setattr("builds.dispatch.send_now", lambda *_, countdown=0: None)
    option(DATA_DIR=tmp_path, SIMULATED_BUILD_SECONDS=3600)
    build_system.cache_clear()
    yield build_system()
    build_system.cache_clear()


def started(build: ModuleBuild, **fields) -> ComponentBuild:
    """A component that the build system builds; it is up to the fields whether that is known here."""
    component = component_build(
        build, state=ComponentState.BUILDING, scmurl="https://git.example.com/rpms/a", **fields
    )
    [submission] = build_system().submit(as_jobs(build, [component]))
    component.number = submission.task_id
    return component


def known(component: ComponentBuild) -> None:
    ComponentBuild.objects.filter(pk=component.pk).update(task_id=component.number)


def state_of(system: BuildSystem, component: ComponentBuild) -> TaskState:
    return system.statuses([component.number])[0].state


def test_components_of_a_failed_build_are_canceled(system: BuildSystem) -> None:
    build = module_build(state=BuildState.FAILED)
    component = started(build)
    known(component)
    components.stop(build.pk)
    assert state_of(system, component) is TaskState.CANCELED
    component.refresh_from_db()
    assert component.state == ComponentState.CANCELED


def test_a_submission_whose_submitter_died_is_cancelled_too(system: BuildSystem) -> None:
    build = module_build(state=BuildState.FAILED)
    component = started(build, submitting_until=timezone.now() - timedelta(seconds=1))
    components.stop(build.pk)
    assert state_of(system, component) is TaskState.CANCELED
    component.refresh_from_db()
    assert (component.state, component.task_id) == (ComponentState.CANCELED, component.number)


def test_while_it_is_being_submitted_a_component_is_not_ended(system: BuildSystem) -> None:
    build = module_build(state=BuildState.FAILED)
    component = started(build, submitting_until=timezone.now() + timedelta(seconds=60))
    components.stop(build.pk)
    component.refresh_from_db()
    assert component.state == ComponentState.BUILDING


def test_a_component_that_was_never_submitted_is_canceled(system: BuildSystem) -> None:
    build = module_build(state=BuildState.FAILED)
    component = component_build(build, state=ComponentState.BUILDING, scmurl="https://git.example.com/a")
    components.stop(component.module_build_id)
    component.refresh_from_db()
    assert component.state == ComponentState.FAILED


def test_a_late_stop_does_not_touch_a_build_that_was_resumed(system: BuildSystem) -> None:
    build = module_build(state=BuildState.BUILD)
    component = started(build)
    known(component)
    components.stop(build.pk)
    assert state_of(system, component) is TaskState.OPEN


@pytest.mark.parametrize("state", BuildState)
def test_only_an_ended_build_is_abandoned(
    system: BuildSystem, monkeypatch: pytest.MonkeyPatch, state: BuildState
) -> None:
    abandoned = []
    monkeypatch.setattr(system, "abandon", lambda module: abandoned.append(module.id))
    build = module_build(state=state, run=3, abandon_since=timezone.now())
    cancellation.abandon(build.pk, 2)
    assert abandoned == []
    cancellation.abandon(build.pk, 3)
    on_its_way = state in (BuildState.INIT, BuildState.WAIT, BuildState.BUILD)
    assert abandoned == ([] if on_its_way else [build.pk])


@pytest.fixture
def abandoned(system: BuildSystem, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Builds that the build system was asked to let go of."""
    numbers: list[int] = []
    monkeypatch.setattr(system, "abandon", lambda module: numbers.append(module.id))
    return numbers


def failed(**fields: object) -> ModuleBuild:
    """A build that has just failed; nothing carries out the tasks that this sent."""
    build = module_build(state=BuildState.BUILD, arch_names=["x86_64"], **fields)
    cancellation.cancel(build, "ann")
    return build


def test_a_failed_build_whose_task_was_lost_with_the_broker_is_abandoned_by_a_sweep(
    abandoned: list[int],
) -> None:
    build = failed()
    assert sweeps.failed_builds() == {"abandoned": 1}
    assert sweeps.failed_builds() == {"abandoned": 0}
    assert abandoned == [build.pk]


def test_a_failed_build_is_abandoned_once(abandoned: list[int]) -> None:
    build = failed()
    assert cancellation.abandon(build.pk, build.run)
    assert not cancellation.abandon(build.pk, build.run)
    assert sweeps.failed_builds() == {"abandoned": 0}
    assert abandoned == [build.pk]


def test_a_resumed_build_is_not_abandoned(abandoned: list[int]) -> None:
    cancellation.resume(failed(), "ann")
    assert sweeps.failed_builds() == {"abandoned": 0}
    assert abandoned == []


def test_after_an_outage_the_sweep_has_the_build_system_let_go(
    system: BuildSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = failed()

    def away(module: Module) -> None:
        raise BuildSystemUnavailable("It is away.")

    with monkeypatch.context() as outage:
        outage.setattr(system, "abandon", away)
        with pytest.raises(BuildSystemUnavailable):
            cancellation.abandon(build.pk, build.run)
        with pytest.raises(BuildSystemUnavailable):
            sweeps.failed_builds()
    assert sweeps.failed_builds() == {"abandoned": 1}
    assert sweeps.failed_builds() == {"abandoned": 0}


def test_a_refusal_to_let_go_is_reported_and_not_asked_for_again(
    system: BuildSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = failed()

    def refuse(module: Module) -> None:
        raise BuildSystemError("Task 7 is another user's.")

    monkeypatch.setattr(system, "abandon", refuse)
    assert cancellation.abandon(build.pk, build.run)
    assert sweeps.failed_builds() == {"abandoned": 0}
    told = build.log_messages.values_list("message", flat=True)
    assert any("Task 7 is another user's." in message for message in told)


def test_a_process_that_dies_while_the_build_system_lets_go_blocks_resuming_for_seconds(
    abandoned: list[int],
) -> None:
    build = failed()
    row = ModuleBuild.objects.filter(pk=build.pk)
    assert Lease(row, "abandoning_until", "a process that dies").take()
    assert row.get().abandoning_until <= clock.now() + timedelta(seconds=SECONDS)
    with pytest.raises(Conflict, match="still being stopped"):
        cancellation.resume(build, "ann")
    assert not cancellation.abandon(build.pk, build.run)
    assert sweeps.failed_builds() == {"abandoned": 0}
    row.update(abandoning_until=clock.now() - timedelta(seconds=1))
    assert sweeps.failed_builds() == {"abandoned": 1}
    row.update(abandoning_until=clock.now() - timedelta(seconds=1), abandon_since=clock.now())
    cancellation.resume(build, "ann")
    assert build.state == BuildState.WAIT
    assert abandoned == [build.pk]


def test_a_deleted_build_is_no_error(system: BuildSystem) -> None:
    components.stop(77)
    components.fail(77, "because")
    cancellation.abandon(77, 1)


def test_while_something_is_being_stopped_nothing_is_resumed(system: BuildSystem) -> None:
    build = module_build(state=BuildState.FAILED)
    known(started(build))
    with pytest.raises(Conflict) as caught:
        cancellation.resume(build, "ann")
    assert caught.value.code == "still_stopping"


def test_resuming_keeps_what_is_built_and_has_it_tagged_again(system: BuildSystem) -> None:
    """What was in tags and buildroot may have been removed since: the targets of ended builds are."""
    build = module_build(state=BuildState.FAILED, arch_names=["x86_64"], batch=2, graph=True)
    done = {"state": ComponentState.COMPLETE, "nvr": "a-1-1", "task_id": 5}
    built = component_build(
        build, package="built", in_buildroot=True, tagged=True, tagged_in_final=True, **done
    )
    after = {"build_after": ["built"], "blocked": False}
    failed = component_build(build, package="broken", state=ComponentState.FAILED, task_id=6, **after)
    unstarted = component_build(build, package="unstarted", **after)
    cancellation.resume(build, "ann")
    for component in (built, failed, unstarted):
        component.refresh_from_db()
        assert not any((component.tagged, component.tagged_in_final, component.in_buildroot))
    assert (built.state, built.nvr, built.task_id) == (ComponentState.COMPLETE, "a-1-1", 5)
    assert (failed.state, failed.task_id, failed.attempt, failed.blocked) == (None, None, 2, True)
    assert (unstarted.attempt, unstarted.blocked) == (1, True)
    assert (build.state, build.batch, build.phase) == (BuildState.WAIT, 0, "done")


@pytest.mark.parametrize("arches", [[], ["x86_64"]])
def test_failures_before_a_resumption_do_not_count(system: BuildSystem, arches: list[str]) -> None:
    build = module_build(state=BuildState.FAILED, arch_names=arches)
    before = as_module(build).since
    resumed_at = timezone.now().timestamp()
    assert before < resumed_at
    cancellation.resume(build, "ann")
    assert resumed_at <= as_module(build).since <= timezone.now().timestamp()
    transitions.move(build, BuildState.FAILED, reason="again")
    assert resumed_at <= as_module(build).since, "the failure is no start"


def test_resuming_twice_is_resuming_once(system: BuildSystem) -> None:
    build = module_build(state=BuildState.FAILED)
    failed = component_build(build, state=ComponentState.FAILED)
    cancellation.resume(build, "ann")
    cancellation.resume(ModuleBuild.objects.get(pk=build.pk), "ann")
    failed.refresh_from_db()
    assert failed.attempt == 2
    assert build.state_trace.filter(state=BuildState.INIT).count() == 2


def test_a_component_that_the_service_gives_up_is_cancelled(system: BuildSystem) -> None:
    component = started(module_build(state=BuildState.BUILD))
    known(component)
    components.fail(component.pk, "The service could not go on.")
    assert state_of(system, component) is TaskState.CANCELED


def lost(component: ComponentBuild) -> None:
    """Its present build is one that the build system does not know."""
    ComponentBuild.objects.filter(pk=component.pk).update(state=ComponentState.BUILDING, task_id=4242)
    status = TaskStatus(4242, TaskState.LOST, reason="its worker died")
    components.record(component.module_build, [component.pk], [status])
    component.refresh_from_db()


def test_a_build_is_lost_three_times_after_each_start(system: BuildSystem) -> None:
    build = module_build(state=BuildState.BUILD)
    component = component_build(build, scmurl="https://git.example.com/rpms/a")
    for attempt in (2, 3):
        lost(component)
        assert (component.state, component.attempt) == (ComponentState.BUILDING, attempt)
    lost(component)
    assert component.state == ComponentState.FAILED
    ModuleBuild.objects.filter(pk=build.pk).update(state=BuildState.FAILED)
    cancellation.resume(build, "anna")
    lost(component)
    assert (component.state, component.losses) == (ComponentState.BUILDING, 1)
