"""A parked task is only woken if it has work to do."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from pathlib import Path

from builds import dispatch
from builds.models import ComponentBuild, Wait
from mbs.states import BuildState
from tests.builds.workers import Workers
from tests.builds.workflow.modules import make_build, make_graph, wait_for_state
from tests.processes import wait_for

_ENDED = re.compile(r"Task (\S+)\[(\S+)\] (?:succeeded|ignored|retry)")


def messages(workers: Workers) -> Counter[str]:
    """How many messages of each task came."""
    return Counter(name for name, _ in _ENDED.findall(workers.logs()))


def test_a_slot_costs_no_message_for_each_that_waits_for_one(workers: Workers) -> None:
    """Of 60 components 20 at most build at once, and others begin whenever some end."""
    builds = [make_build([f"p{n}" for n in range(10)], owner=f"owner{number % 3}") for number in range(6)]
    workers.start(concurrency=3, NUM_CONCURRENT_BUILDS=20, SIMULATED_BUILD_SECONDS=0.3)
    for build in builds:
        dispatch.advance(build.pk)
    for build in builds:
        wait_for_state(build, BuildState.READY)
    counts, components = messages(workers), ComponentBuild.objects.count()
    # Of those of a batch that had a slot at once none runs; the others may be submitted one by one.
    assert counts["workflow.build_component"] <= components
    assert counts["workflow.submit_given"] <= components
    parts = Counter(number for name, number in _ENDED.findall(workers.logs()) if name.endswith("component"))
    assert max(parts.values(), default=0) <= 4
    assert not Wait.objects.exists()


def test_each_batch_runs_only_the_steps_that_it_needs(workers: Workers) -> None:
    """The last one needs no repository and no next batch."""
    build = make_build(["first"], ["second"], ["third"])
    workers.start(SIMULATED_BUILD_SECONDS=0)
    dispatch.advance(build.pk)
    wait_for_state(build, BuildState.READY)
    wait_for(lambda: messages(workers)["workflow.finalize"], what="the end of the last task")
    assert messages(workers) == {
        "workflow.advance": 1,
        "workflow.initialize": 1,
        "workflow.prepare": 1,
        "workflow.start_batch": 3,
        "workflow.finish_batch": 3,
        "workflow.regenerate_repo": 2,
        "workflow.finalize": 1,
    }


def test_one_task_at_a_time_renews_a_buildroot(workers: Workers, tmp_path: Path) -> None:
    """Twelve that end one by one while a slow repository is made for what waits for them."""
    leaves = {f"leaf{number}": [] for number in range(12)}
    build = make_graph(**leaves, top=sorted(leaves))
    workers.start(
        concurrency=3,
        beat=True,
        SIMULATED_BUILD_SECONDS=0.2,
        SIMULATED_REPO_SECONDS=1,
        NUM_CONCURRENT_BUILDS=2,
    )
    dispatch.advance(build.pk)
    wait_for_state(build, BuildState.READY)
    with sqlite3.connect(tmp_path / "simulated.sqlite3") as books:
        [[repos]] = books.execute("SELECT COUNT(*) FROM task WHERE attempt IS NULL").fetchall()
    # One to ask for a repository, and one when it is there.
    assert messages(workers)["workflow.renew_buildroot"] <= 2 * repos + 4
