"""Slots with real workers and without sweeps, which would hide a missing wake."""

from __future__ import annotations

from pathlib import Path

from builds import dispatch
from builds.models import ModuleBuild
from mbs.states import BuildState
from tests.builds.workers import Workers
from tests.builds.workflow.modules import make_build, wait_for_state
from tests.builds.workflow.simulated import most_at_once, submissions


def weighted(owner: str, *weights: int) -> ModuleBuild:
    """A build of one batch with a component for each weight."""
    build = make_build([f"{owner}-{weight}" for weight in weights], owner=owner)
    for component, weight in zip(build.component_builds.order_by("pk"), weights, strict=True):
        component.weight = weight
        component.save()
    return build


def run(*builds: ModuleBuild) -> None:
    for build in builds:
        dispatch.advance(build.pk)
    for build in builds:
        wait_for_state(build, BuildState.READY)


def test_the_limit_is_reached_and_never_exceeded(workers: Workers, tmp_path: Path) -> None:
    builds = [make_build([f"a{n}" for n in range(4)], ["b"], owner=f"owner{number}") for number in range(4)]
    workers.start(concurrency=4, NUM_CONCURRENT_BUILDS=3, SIMULATED_BUILD_SECONDS=2)
    run(*builds)
    assert most_at_once(tmp_path) == 3
    assert [state for _, state in submissions(tmp_path)] == ["complete"] * 20


def test_within_an_owner_the_longest_comes_first(workers: Workers, tmp_path: Path) -> None:
    build = weighted("anna", 1, 5, 3, 4, 2)
    workers.start(NUM_CONCURRENT_BUILDS=1, SIMULATED_BUILD_SECONDS=0.1)
    run(build)
    assert [component.weight for component, _ in submissions(tmp_path)] == [5, 4, 3, 2, 1]


def test_no_owner_starves_another(workers: Workers, tmp_path: Path) -> None:
    """With two places each owner has one, however much the other one waits for, and for how long."""
    annas, bobs = weighted("anna", *range(10, 20)), weighted("bob", 1, 2, 3)
    workers.start(concurrency=3, NUM_CONCURRENT_BUILDS=2, SIMULATED_BUILD_SECONDS=0.4)
    run(annas, bobs)
    owners = [component.module_build.owner for component, _ in submissions(tmp_path)]
    # Before bob's module begins anna has both places, and while bob's next one starts hers may change.
    begins = owners.index("bob")
    assert owners[begins : begins + 8].count("bob") == 3
    assert owners[-1] == "anna"
