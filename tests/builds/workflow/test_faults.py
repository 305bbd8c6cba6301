"""Killed workers and lost, doubled or early messages: builds become ready, and nothing is built twice."""

from __future__ import annotations

import pytest
from celery import current_app
from django.db import connection

from builds import dispatch
from builds.models import ModuleBuildTrace, Wait
from mbs.states import BuildState
from tests.builds.workflow.modules import make_build, make_graph, wait_for_state
from tests.builds.workflow.soundness import GRAPH, SHAPE, assert_sound
from tests.processes import wait_for


def count_points(workers, folder) -> int:
    """How many commit points an undisturbed build has."""
    build = make_build(*SHAPE)
    (folder / str(build.pk)).write_text("0")
    dispatch.advance(build.pk)
    wait_for_state(build, BuildState.READY)
    return (folder / f"{build.pk}.points").stat().st_size


def test_a_worker_killed_at_any_commit_loses_nothing(workers, tmp_path):
    """Builds that are complete when they are submitted, and builds whose tasks park: each on one database."""
    seconds = {"sqlite": 0, "postgresql": 0.2}[connection.vendor]
    folder = tmp_path / "kill"
    folder.mkdir()
    workers.environ["FAULT_KILL"] = str(folder)
    workers.start(app="tests.faults", concurrency=4, beat=True, SIMULATED_BUILD_SECONDS=seconds)
    points = count_points(workers, folder)
    assert points > 50
    builds = [make_build(*SHAPE) for _ in range(points)]
    for number, build in enumerate(builds, 1):
        (folder / str(build.pk)).write_text(str(number))
        dispatch.advance(build.pk)
    for build in builds:
        wait_for_state(build, BuildState.READY, 600)
    killed = [b for n, b in enumerate(builds, 1) if (folder / f"{b.pk}.points").stat().st_size >= n]
    # What has ended before its task comes to run is not parked: that build has fewer points.
    assert len(killed) >= 0.8 * points
    assert_sound(tmp_path)


def test_whole_workers_killed_again_and_again_lose_nothing(workers, tmp_path):
    builds = [make_build(*SHAPE) for _ in range(8)] + [make_graph(**GRAPH) for _ in range(4)]
    for build in builds:
        dispatch.advance(build.pk)
    for _ in range(6):
        worker = workers.start(SIMULATED_BUILD_SECONDS=0.2, SIMULATED_REPO_SECONDS=0.1, beat=True)
        done = ModuleBuildTrace.objects.count()
        wait_for(lambda done=done: ModuleBuildTrace.objects.count() > done + 2, what="some progress")
        worker.kill()
    workers.start(SIMULATED_BUILD_SECONDS=0.2, SIMULATED_REPO_SECONDS=0.1, beat=True)
    for build in builds:
        wait_for_state(build, BuildState.READY, 300)
    assert_sound(tmp_path)


def test_an_emptied_redis_loses_nothing(workers, tmp_path):
    build = make_build(*SHAPE)
    workers.start(SIMULATED_BUILD_SECONDS=3, beat=True)
    dispatch.advance(build.pk)
    for batch in (1, 2):
        wait_for(
            lambda batch=batch: Wait.objects.filter(component_build__batch=batch).exists(),
            what="a parked batch",
        )
        with current_app.connection_for_write() as broker:
            broker.default_channel.client.flushall()
    wait_for_state(build, BuildState.READY)
    assert_sound(tmp_path)


def test_doubled_messages_change_nothing(workers, tmp_path):
    workers.environ["FAULT_DOUBLE"] = "1"
    workers.start(app="tests.faults", concurrency=3, beat=True, SIMULATED_BUILD_SECONDS=0.2)
    builds = [make_build(*SHAPE) for _ in range(3)] + [make_graph(**GRAPH)]
    for build in builds:
        dispatch.advance(build.pk)
        dispatch.advance(build.pk)
    for build in builds:
        wait_for_state(build, BuildState.READY)
    assert_sound(tmp_path)


@pytest.mark.parametrize("seconds", [0.5])
def test_a_wake_before_the_wait_is_stored_is_not_missed(workers, tmp_path, seconds):
    workers.environ["FAULT_SLOW_STORE"] = str(2 * seconds)
    workers.start(
        app="tests.faults", SIMULATED_BUILD_SECONDS=seconds, SIMULATED_REPO_SECONDS=seconds, concurrency=4
    )
    build = make_build(*SHAPE)
    dispatch.advance(build.pk)
    wait_for_state(build, BuildState.READY)
    assert_sound(tmp_path)
