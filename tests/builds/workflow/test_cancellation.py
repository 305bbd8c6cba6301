"""Builds that are cancelled and resumed at any step, with real workers: nothing is built twice."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from pathlib import Path

import pytest

from builds import dispatch
from builds.models import ComponentBuild, ModuleBuild, Wait
from builds.services import cancellation
from mbs.errors import Conflict, InvalidInput
from mbs.states import BuildState, ComponentState
from tests.builds.workers import Workers
from tests.builds.workflow.modules import make_build, make_graph, wait_for_state
from tests.builds.workflow.simulated import states
from tests.processes import wait_for


def nothing_builds(build: ModuleBuild) -> bool:
    return not build.component_builds.filter(state=ComponentState.BUILDING).exists()


def resume(build: ModuleBuild) -> None:
    """As an impatient user: again and again until it is accepted."""

    def accepted() -> bool:
        with suppress(Conflict):
            cancellation.resume(build, "anna")
            return True
        return False

    wait_for(accepted, what=f"{build} to be resumed")


@pytest.mark.parametrize("state", [BuildState.INIT, BuildState.WAIT])
def test_before_anything_builds(workers: Workers, tmp_path: Path, state: BuildState) -> None:
    build = make_build(["alpha"])
    ModuleBuild.objects.filter(pk=build.pk).update(state=state)
    dispatch.advance(build.pk)
    cancellation.cancel(build, "anna")
    other = make_build(["alpha"])
    dispatch.advance(other.pk)
    workers.start(concurrency=1, beat=True)
    wait_for_state(other, BuildState.READY)
    wait_for_state(build, BuildState.FAILED)
    assert states(tmp_path, build) == {}
    resume(build)
    wait_for_state(build, BuildState.READY)
    assert states(tmp_path, build) == {"alpha": ["complete"]}


def test_running_components_are_canceled_and_finished_ones_kept(workers: Workers, tmp_path: Path) -> None:
    build = make_build(["alpha"], ["beta", "gamma", "waiting"])
    held = tmp_path / "simulated.held"
    held.write_text("beta gamma waiting")
    workers.start(SIMULATED_BUILD_SECONDS=0.3, NUM_CONCURRENT_BUILDS=2, beat=True)
    dispatch.advance(build.pk)
    second = build.component_builds.filter(batch=2, state=ComponentState.BUILDING).exclude(task_id=None)
    wait_for(lambda: second.count() == 2, what="the second batch to build")
    started = set(second.values_list("package", flat=True))
    cancellation.cancel(build, "anna")
    wait_for(lambda: nothing_builds(build), what="everything to be stopped")
    assert states(tmp_path, build) == {"alpha": ["complete"]} | {name: ["canceled"] for name in started}
    assert not Wait.objects.exists()
    time.sleep(0.5)
    assert nothing_builds(build)
    held.unlink()
    resume(build)
    wait_for_state(build, BuildState.READY)
    ended = {
        name: ["canceled", "complete"] if name in started else ["complete"]
        for name in ("alpha", "beta", "gamma", "waiting")
    }
    assert states(tmp_path, build) == ended


def test_a_ready_build_is_not_cancelled(workers: Workers) -> None:
    build = make_build(["alpha"])
    workers.start()
    dispatch.advance(build.pk)
    wait_for_state(build, BuildState.READY)
    with pytest.raises(InvalidInput):
        cancellation.cancel(build, "anna")


def test_cancelled_and_resumed_at_any_moment_nothing_is_built_twice(workers: Workers, tmp_path: Path) -> None:
    moments = random.Random(2)
    shape = ["alpha"], ["beta", "gamma"], ["delta"]
    builds = [make_build(*shape) for _ in range(4)]
    builds += [make_graph(alpha=[], beta=["alpha"], gamma=["beta"], delta=["alpha"]) for _ in range(2)]
    workers.start(
        concurrency=3,
        beat=True,
        SIMULATED_BUILD_SECONDS=0.2,
        SIMULATED_REPO_SECONDS=0.1,
        NUM_CONCURRENT_BUILDS=8,
    )
    for build in builds:
        dispatch.advance(build.pk)
    for _ in range(2):
        for build in moments.sample(builds, len(builds)):
            time.sleep(moments.random() / 5)
            try:
                cancellation.cancel(build, "anna")
            except InvalidInput:
                continue
        for build in builds:
            if ModuleBuild.objects.get(pk=build.pk).state == BuildState.FAILED:
                resume(build)
    for build in builds:
        wait_for_state(build, BuildState.READY, 60)
        for package, history in states(tmp_path, build).items():
            assert history[-1] == "complete", (package, history)
            assert set(history[:-1]) <= {"canceled"}, (package, history)
        done = ComponentBuild.objects.filter(module_build=build, state=ComponentState.COMPLETE)
        assert done.count() == build.component_builds.count()
    assert not Wait.objects.exists()
