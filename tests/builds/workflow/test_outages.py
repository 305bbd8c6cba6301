"""Temporary outages of broker, build system and database: builds continue, and nothing is built twice."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from django.db import connection

from builds import dispatch
from builds.models import ModuleBuild, Wait
from mbs.states import BuildState, ComponentState
from tests.builds.workers import Workers
from tests.builds.workflow.modules import make_build, make_graph, wait_for_state
from tests.builds.workflow.soundness import GRAPH, SHAPE, assert_sound
from tests.postgresql import programs
from tests.processes import Redis, wait_for


def several() -> list[ModuleBuild]:
    return [make_build(*SHAPE) for _ in range(3)] + [make_graph(**GRAPH)]


def begin(builds: list[ModuleBuild]) -> None:
    for build in builds:
        dispatch.advance(build.pk)


def all_become_ready(workers: Workers, builds: list[ModuleBuild]) -> None:
    unfinished = ModuleBuild.objects.filter(pk__in=[build.pk for build in builds]).exclude(
        state=BuildState.READY
    )

    def done() -> bool:
        workers.revive()
        return not unfinished.exists()

    wait_for(done, 180, "all builds to become ready")


def test_a_broker_that_goes_away_with_all_it_held(workers: Workers, redis: Redis, tmp_path: Path) -> None:
    builds = several()
    workers.start(
        beat=True,
        concurrency=3,
        SIMULATED_BUILD_SECONDS=0.6,
        SIMULATED_REPO_SECONDS=0.2,
        NUM_CONCURRENT_BUILDS=4,
    )
    begin(builds)
    for pause in (0.3, 1.2):
        time.sleep(pause)
        redis.kill()
        time.sleep(1)
        redis.start()
    all_become_ready(workers, builds)
    assert_sound(tmp_path)


def test_a_broker_that_is_silent(workers: Workers, redis: Redis, tmp_path: Path) -> None:
    builds = several()
    workers.start(beat=True, SIMULATED_BUILD_SECONDS=0.4)
    begin(builds)
    time.sleep(0.5)
    with redis.frozen():
        time.sleep(2)
    all_become_ready(workers, builds)
    assert_sound(tmp_path)


def test_without_a_broker_a_build_is_kept_and_starts_when_it_is_back(workers: Workers, redis: Redis) -> None:
    workers.start(beat=True)
    redis.kill()
    try:
        build = make_build(["alpha"])
        dispatch.send_now("workflow.advance", build.pk)
    finally:
        redis.start()
    all_become_ready(workers, [build])


def test_a_build_system_that_is_away_is_waited_for(workers: Workers, tmp_path: Path) -> None:
    """It is said what a build waits for, and the waiting is no loss from which it is to be saved."""
    away = tmp_path / "simulated.away"
    away.touch()
    builds = several()
    workers.start(beat=True, SIMULATED_BUILD_SECONDS=0.4, SIMULATED_REPO_SECONDS=0.2)
    begin(builds)
    wait_for(lambda: Wait.objects.filter(key__startswith="retry:").count() == len(builds), what="tries")
    wait = Wait.objects.filter(key__startswith="retry:").first()
    assert (wait.what, wait.wakes_on) == (
        "an outage: The simulated build system is not available (simulated.away exists).",
        "another try",
    )
    runs = [ModuleBuild.objects.get(pk=build.pk).run for build in builds]
    time.sleep(2.5)
    assert [ModuleBuild.objects.get(pk=build.pk).run for build in builds] == runs
    away.unlink()
    wait_for(
        lambda: Wait.objects.filter(key__startswith="component:").exists(), what="a component that builds"
    )
    away.touch()
    time.sleep(1.5)
    away.unlink()
    all_become_ready(workers, builds)
    assert_sound(tmp_path)


def test_a_refused_component_fails_alone_with_the_reason(workers: Workers) -> None:
    build = make_build(["refused-this", "good", "refused-that"])
    workers.start(beat=True)
    dispatch.advance(build.pk)
    wait_for_state(build, BuildState.FAILED)
    ends = dict(build.component_builds.values_list("package", "state"))
    assert ends["good"] == ComponentState.COMPLETE
    assert ends["refused-this"] == ends["refused-that"] == ComponentState.FAILED
    for package in ("refused-this", "refused-that"):
        assert f"{package}: The simulated build system refuses {package}." in build.state_reason
    assert not Wait.objects.exists()


def test_a_build_that_is_deleted_is_forgotten(workers: Workers) -> None:
    builds = several()
    workers.start(beat=True, SIMULATED_BUILD_SECONDS=3)
    begin(builds)
    wait_for(lambda: Wait.objects.filter(key__startswith="component:").count() > 3, what="parked components")
    for build in builds:
        build.delete()
    last = make_build(["alpha"])
    dispatch.advance(last.pk)
    wait_for_state(last, BuildState.READY)
    assert "Traceback" not in workers.logs()


def restart_database() -> None:
    """Kill the PostgreSQL server as a crash would, and start it again after a while."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        data = cursor.fetchone()[0]
    connection.close()
    user = "postgres" if os.getuid() == 0 else None
    stop = [programs() / "pg_ctl", "-D", data, "stop", "--mode=immediate"]
    options = Path(data, "postmaster.opts").read_text().split(" ", 1)[1].strip().replace('"', "'")
    subprocess.run(stop, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL)
    time.sleep(1)
    start = [
        programs() / "pg_ctl",
        "-D",
        data,
        "start",
        "--wait",
        "--options",
        options,
        "--log",
        f"{data}/log",
    ]
    subprocess.run(start, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL)


@pytest.mark.alone
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a file does not go away")
def test_a_database_that_is_started_again(workers: Workers, tmp_path: Path) -> None:
    builds = several()
    workers.start(beat=True, concurrency=3, SIMULATED_BUILD_SECONDS=0.6, SIMULATED_REPO_SECONDS=0.2)
    begin(builds)
    for pause in (0.3, 0.9):
        time.sleep(pause)
        restart_database()
    all_become_ready(workers, builds)
    assert_sound(tmp_path)


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="rows are locked, not the whole database")
def test_a_database_that_is_locked_for_a_while(workers: Workers, tmp_path: Path) -> None:
    builds = several()
    workers.start(beat=True, SIMULATED_BUILD_SECONDS=0.4)
    begin(builds)
    time.sleep(0.5)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN EXCLUSIVE")
        time.sleep(2)
        cursor.execute("ROLLBACK")
    all_become_ready(workers, builds)
    assert_sound(tmp_path)
