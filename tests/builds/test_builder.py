"""What becomes of builds that our own workers run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from celery.canvas import Signature

from builds.models import ComponentBuild, ModuleBuild
from builds.services import builder
from builds.services.systems import as_jobs, build_system
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


def test_what_has_ended_beside_it_is_recorded_with_it(seconds: Callable[..., None], woken: list[str]) -> None:
    build = module_build(state=BuildState.BUILD)
    seconds(0.001)
    one, two = submitted(build, "one"), submitted(build, "fails-two")
    seconds(3600)
    submitted(build, "three")
    builder.run(one.number)
    assert states(build) == [ComponentState.COMPLETE, ComponentState.FAILED, ComponentState.BUILDING]
    assert sorted(woken) == ["fails-two", "one"]
    builder.run(two.number)
    assert sorted(woken) == ["fails-two", "one"]


def test_a_build_may_end_before_its_number_is_recorded(
    seconds: Callable[..., None], woken: list[str]
) -> None:
    build = module_build(state=BuildState.BUILD)
    seconds(0.001)
    component = submitted(build, "one", known=False)
    builder.run(component.number)
    assert states(build) == [ComponentState.COMPLETE]
    assert woken == ["one"]
