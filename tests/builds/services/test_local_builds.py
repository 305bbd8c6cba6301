"""Recording the results of builds that the service's own workers run."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from celery.canvas import Signature
from django.db import OperationalError
from kombu.exceptions import OperationalError as BrokerAway

from builds import dispatch
from builds.models import ComponentBuild, ModuleBuild, Wait
from builds.services import local_builds
from builds.services.build_system import as_jobs, build_system
from buildsys.base import TaskStatus
from mbs.states import BuildState, ComponentState
from tests.factories import component_build, module_build, wait

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def seconds(
    tmp_path: Path, option: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Sets how long simulated builds take; the task that runs each is for the test to call."""
    monkeypatch.setattr("builds.dispatch.send_now", lambda *_, countdown=0: None)

    def set_seconds(number: float) -> None:
        option(DATA_DIR=tmp_path, SIMULATED_BUILD_SECONDS=number)
        build_system.cache_clear()

    yield set_seconds
    build_system.cache_clear()


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sent: list[str] = []
    monkeypatch.setattr(Signature, "apply_async", lambda self: sent.append(self.task))
    return sent


def submitted(build: ModuleBuild, package: str, *, known: bool = True) -> ComponentBuild:
    """A component that builds and that a task waits for; ``number`` is the build system's."""
    source = "https://git.example.com/rpms/a"
    component = component_build(build, package=package, scmurl=source, state=ComponentState.BUILDING)
    [submission] = build_system().submit(as_jobs(build, [component]))
    component.number = submission.task_id
    if known:
        ComponentBuild.objects.filter(pk=component.pk).update(task_id=component.number)
    signature = {"task": package, "args": [], "options": {}}
    wait(build, component_build=component, key=component.wait_key, signature=signature)
    return component


def states(build: ModuleBuild) -> list[int]:
    return list(build.component_builds.order_by("pk").values_list("state", flat=True))


def test_other_ended_components_are_recorded_in_the_same_call(
    seconds: Callable[..., None], woken: list[str]
) -> None:
    build = module_build(state=BuildState.BUILD)
    seconds(0)
    one, two = submitted(build, "one"), submitted(build, "fails-two")
    seconds(3600)
    submitted(build, "three")
    local_builds.run(one.number)
    assert states(build) == [ComponentState.COMPLETE, ComponentState.FAILED, ComponentState.BUILDING]
    assert sorted(woken) == ["fails-two", "one"]
    local_builds.run(two.number)
    assert sorted(woken) == ["fails-two", "one"]


def test_a_result_that_was_recorded_with_others_costs_one_statement(
    seconds: Callable[..., None], woken: list[str], django_assert_num_queries: Callable[..., Any]
) -> None:
    build = module_build(state=BuildState.BUILD)
    seconds(0)
    one, two = submitted(build, "one"), submitted(build, "two")
    local_builds.run(one.number)
    Wait.objects.all().delete()
    with django_assert_num_queries(1):
        local_builds.run(two.number)


class Killed(BaseException):
    """Of a process that ends at this line."""


@pytest.mark.parametrize("fault", [Killed, OperationalError])
def test_a_recorded_end_without_a_wake_is_woken_by_the_next_sweep(
    seconds: Callable[..., None],
    woken: list[str],
    monkeypatch: pytest.MonkeyPatch,
    fault: type[BaseException],
) -> None:
    build = module_build(state=BuildState.BUILD)
    seconds(0)
    one, two = submitted(build, "one"), submitted(build, "two")

    def failing(*_: object) -> None:
        raise fault

    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(dispatch, "_wake", failing)
        local_builds.run(one.number)
    assert states(build) == [ComponentState.COMPLETE] * 2
    local_builds.run(two.number)
    local_builds.run(one.number)
    assert sorted(woken) == ["one", "two"]


def test_waits_whose_wake_found_no_broker_are_woken_by_the_next_sweep(
    seconds: Callable[..., None], woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = module_build(state=BuildState.BUILD)
    seconds(0)
    one, two = submitted(build, "one"), submitted(build, "two")

    def failing(_: object) -> None:
        raise BrokerAway("no broker")

    with monkeypatch.context() as patch:
        patch.setattr(Signature, "apply_async", failing)
        local_builds.run(one.number)
    local_builds.run(two.number)
    assert woken == ["two"]


def test_a_build_that_cannot_be_asked_about_keeps_none_back(
    seconds: Callable[..., None], woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = module_build(state=BuildState.BUILD)
    seconds(0)
    one, two = submitted(build, "one"), submitted(build, "two")
    system = build_system()
    ask = system.statuses

    def statuses(numbers: list[int]) -> list[TaskStatus]:
        if two.number in numbers:
            raise ValueError("torn")
        return ask(numbers)

    monkeypatch.setattr(system, "statuses", statuses)
    local_builds.run(one.number)
    assert states(build) == [ComponentState.COMPLETE, ComponentState.BUILDING]
    assert woken == ["one"]


def test_only_some_are_asked_about_beside_one(
    seconds: Callable[..., None], woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = module_build(state=BuildState.BUILD)
    seconds(3600)
    many = [submitted(build, f"package{number}") for number in range(local_builds.MAX_OTHERS + 5)]
    system, asked = build_system(), []
    ask = system.statuses
    monkeypatch.setattr(system, "statuses", lambda numbers: asked.extend(numbers) or ask(numbers))
    monkeypatch.setattr(system, "run", lambda number: f"component:{many[-1].pk}")
    local_builds.run(many[-1].number)
    assert len(asked) == local_builds.MAX_OTHERS + 1


def test_a_late_result_of_a_canceled_attempt_is_ignored(
    seconds: Callable[..., None], woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = module_build(state=BuildState.BUILD)
    seconds(3600)
    component = submitted(build, "one")
    build_system().cancel([component.number])
    over = time.time() + 3600
    monkeypatch.setattr("buildsys.simulated.time.time", lambda: over)
    ComponentBuild.objects.filter(pk=component.pk).update(attempt=2, task_id=None)
    local_builds.run(component.number)
    assert states(build) == [ComponentState.BUILDING]


def test_a_build_may_end_before_its_number_is_recorded(
    seconds: Callable[..., None], woken: list[str]
) -> None:
    build = module_build(state=BuildState.BUILD)
    seconds(0)
    component = submitted(build, "one", known=False)
    local_builds.run(component.number)
    assert states(build) == [ComponentState.COMPLETE]
    assert woken == ["one"]
