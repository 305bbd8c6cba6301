"""Tasks and waits of an earlier run of a build do not change a later run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from celery import Task
from celery.exceptions import Ignore
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.models import ComponentBuild, ModuleBuild, Phase, Wait
from builds.services import cancellation, components, slots
from builds.services.build_system import build_system
from builds.tasks import workflow
from builds.workflow import sweeps
from buildsys.base import BuildSystem, Module, Submission, TaskState
from mbs.errors import Conflict, MBSError
from mbs.states import BuildState, ComponentState
from tests.factories import component_build, module_build, wait

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def system(sent_tasks: list[tuple], option: Callable[..., None]) -> Iterator[BuildSystem]:
    """A simulated build system whose builds take an hour."""
    option(SIMULATED_BUILD_SECONDS=3600)
    build_system.cache_clear()
    yield build_system()
    build_system.cache_clear()


def building(**fields: object) -> ModuleBuild:
    values = {"state": BuildState.BUILD, "batch": 2, "phase": Phase.BUILDING, "run": 1}
    return module_build(**{**values, "arch_names": ["x86_64"], **fields})


def again(build: ModuleBuild) -> None:
    """Cancel a build, and resume it."""
    cancellation.cancel(build, "ann")
    cancellation.resume(build, "ann")


def perform(task: Task, *args: int) -> None:
    """Run a task as a worker would, whose step is the one of ``builds.workflow.steps``."""
    task.push_request(id="late", args=list(args), kwargs={}, called_directly=False)
    try:
        task.run(*args)
    finally:
        task.pop_request()


def test_failing_and_resuming_a_build_begin_a_new_run(system: BuildSystem) -> None:
    build = building()
    cancellation.cancel(build, "ann")
    assert build.run == 2
    cancellation.resume(build, "ann")
    assert build.run == 3


def test_a_late_step_does_not_fail_a_build_that_was_resumed(
    system: BuildSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its call of the build system was refused, after the build was cancelled and resumed."""
    build = building(phase=Phase.TAGGING)

    def refused(*_: object) -> None:
        again(ModuleBuild.objects.get(pk=build.pk))
        raise MBSError("It is locked.")

    monkeypatch.setattr("builds.services.tagging.tag", refused)
    with pytest.raises(Ignore):
        perform(workflow.tag_batch, build.pk, 1, 2)
    build.refresh_from_db()
    assert build.state == BuildState.WAIT


def test_a_late_step_does_not_fail_a_component_of_a_build_that_was_resumed(
    system: BuildSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = building()
    component = component_build(build, scmurl="https://git.example.com/rpms/a")

    def refused(*_: object, **__: object) -> None:
        components.fail(component.pk, "It was stopped.")
        again(ModuleBuild.objects.get(pk=build.pk))
        raise MBSError("It is refused.")

    monkeypatch.setattr("builds.services.components.submit", refused)
    perform(workflow.build_component, build.pk, 1, component.pk)
    component.refresh_from_db()
    assert (component.state, component.attempt) == (None, 2)


def test_a_wait_stored_behind_a_cancellation_does_not_hide_that_nothing_works_on_a_build(
    system: BuildSystem, monkeypatch: pytest.MonkeyPatch, sent_tasks: list[tuple]
) -> None:
    build = building(phase=Phase.TAGGING)

    def not_yet(*_: object) -> bool:
        late = ModuleBuild.objects.get(pk=build.pk)
        if late.state == BuildState.BUILD:
            again(late)
        return False

    monkeypatch.setattr("builds.services.tagging.tag", not_yet)
    with pytest.raises(Ignore):
        perform(workflow.tag_batch, build.pk, 1, 2)
    # The message that starts the new run is lost, and a worker died before it removed the row.
    wait(build, run=1)
    ModuleBuild.objects.update(progress_at=timezone.now() - timedelta(hours=1))
    sent_tasks.clear()
    sweeps.recover_lost(timezone.now().timestamp())
    assert sent_tasks == [("workflow.advance", build.pk)]
    sweeps.stuck_waits()
    assert not Wait.objects.exists()


def test_a_late_task_builds_nothing_before_the_new_run_is_there(system: BuildSystem) -> None:
    build = building()
    component = component_build(build, scmurl="https://git.example.com/rpms/a")
    again(build)
    with pytest.raises(Ignore):
        perform(workflow.build_component, build.pk, 1, component.pk)
    component.refresh_from_db()
    assert (component.state, component.task_id) == (None, None)


def test_a_component_of_a_build_that_is_cancelled_meanwhile_is_not_submitted(
    system: BuildSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step has looked at the build, and comes to ask for a slot when it is cancelled."""
    build = building()
    component = component_build(build, scmurl="https://git.example.com/rpms/a")
    claim = slots.claim

    def late(*args: object) -> list[ComponentBuild]:
        cancellation.cancel(ModuleBuild.objects.get(pk=build.pk), "ann")
        return claim(*args)

    monkeypatch.setattr("builds.services.slots.claim", late)
    with pytest.raises(Ignore):
        perform(workflow.build_component, build.pk, 1, component.pk)
    component.refresh_from_db()
    assert (component.state, component.task_id) == (None, None)
    assert not Wait.objects.exists()


def test_a_component_submitted_during_a_cancellation_is_stopped(
    system: BuildSystem, sent_tasks: list[tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = building()
    component = component_build(build, scmurl="https://git.example.com/rpms/a")
    submit = system.submit

    def slow(jobs: list) -> list[Submission]:
        submissions = submit(jobs)
        cancellation.cancel(ModuleBuild.objects.get(pk=build.pk), "ann")
        components.stop(build.pk)
        sent_tasks.clear()
        return submissions

    monkeypatch.setattr(system, "submit", slow)
    components.submit(build, slots.claim(build, [component]))
    assert ("workflow.stop_components", build.pk) in sent_tasks
    components.stop(build.pk)
    component.refresh_from_db()
    assert component.state == ComponentState.CANCELED
    assert system.statuses([component.task_id])[0].state is TaskState.CANCELED


@pytest.mark.parametrize("number", [1, 4])
def test_submissions_that_the_build_system_has_just_begun_are_recorded_once(
    system: BuildSystem, number: int
) -> None:
    build = building()
    for _ in range(number):
        component_build(build, scmurl="https://git.example.com/rpms/a")
    claimed = slots.claim(build, list(build.component_builds.all()))
    with CaptureQueriesContext(connection) as asked:
        assert components.submit(build, claimed, fresh=claimed) == set()
    kinds = Counter(" ".join(query["sql"].replace('"', "").split()[:3]) for query in asked)
    assert kinds["INSERT INTO builds_componentbuild"] == 1
    assert kinds["INSERT INTO builds_componentbuildtrace"] == 1
    assert build.component_builds.exclude(task_id=None).count() == number


def test_a_late_abandon_leaves_a_build_alone_that_was_resumed_and_failed_again(
    system: BuildSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandoned: list[Module] = []
    monkeypatch.setattr(system, "abandon", abandoned.append)
    build = building()
    again(build)
    cancellation.abandon(build.pk, 2)
    cancellation.cancel(build, "ann")
    cancellation.abandon(build.pk, 2)
    assert abandoned == []
    cancellation.abandon(build.pk, 4)
    assert [module.id for module in abandoned] == [build.pk]


def test_a_build_is_not_resumed_while_the_build_system_lets_go_of_it(
    system: BuildSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call may hang for minutes, and then cancel what the new run has begun."""
    build = building()
    cancellation.cancel(build, "ann")
    caught: list[str] = []

    def slow(module: Module) -> None:
        with pytest.raises(Conflict) as conflict:
            cancellation.resume(ModuleBuild.objects.get(pk=build.pk), "ann")
        caught.append(conflict.value.code)
        assert not cancellation.abandon(build.pk, build.run), "another process does it"

    monkeypatch.setattr(system, "abandon", slow)
    cancellation.abandon(build.pk, build.run)
    assert caught == ["still_stopping"]
    cancellation.resume(build, "ann")
    assert build.state == BuildState.WAIT


def test_two_that_stop_a_build_do_not_stop_what_a_later_run_submits(
    system: BuildSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first found nothing and ended the component; the second is about to look."""
    build = building()
    component = component_build(build, state=ComponentState.BUILDING, scmurl="https://git.example.com/rpms/a")
    cancellation.cancel(build, "ann")
    find = system.find

    def looked(jobs: list) -> list[Submission | None]:
        monkeypatch.setattr(system, "find", find)
        components.stop(build.pk)
        component.refresh_from_db()
        assert component.state == ComponentState.BUILDING, "ended by the second, under the eyes of the first"
        return find(jobs)

    monkeypatch.setattr(system, "find", looked)
    components.stop(build.pk)
    component.refresh_from_db()
    assert (component.state, component.submitting_until) == (ComponentState.FAILED, None)


@pytest.mark.parametrize("others", [[], [ComponentState.FAILED]])
def test_a_component_that_builds_is_not_counted_as_failed(
    system: BuildSystem, others: list[ComponentState]
) -> None:
    """The chord was counted too early; the batch waits for what still builds."""
    build = building()
    for state in others:
        component_build(build, state=state)
    component = component_build(build, state=ComponentState.BUILDING, task_id=7)
    with pytest.raises(Ignore):
        perform(workflow.finish_batch, build.pk, 1, 2)
    build.refresh_from_db()
    assert (build.state, build.phase) == (BuildState.BUILD, Phase.BUILDING)
    assert Wait.objects.get().key == component.wait_key
