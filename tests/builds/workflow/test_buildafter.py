"""Components that are built after others (``buildafter``)."""

from __future__ import annotations

import pytest

from builds import dispatch
from builds.models import ComponentBuild, ModuleBuild, Wait
from builds.workflow import buildafter
from builds.workflow.outcomes import Park
from mbs.states import BuildState, ComponentState
from tests.builds.workflow.modules import make_graph, wait_for_state


def times(build) -> dict[str, ComponentBuild]:
    return {component.package: component for component in build.component_builds.all()}


def test_a_component_starts_when_what_it_names_is_in_the_buildroot(workers):
    build = make_graph(base=[], other=[], tool=["base"], app=["tool", "other"])
    workers.start(beat=True, SIMULATED_BUILD_SECONDS=0.4, SIMULATED_REPO_SECONDS=0.2)
    dispatch.advance(build.pk)
    wait_for_state(build, BuildState.READY)
    built = times(build)
    for name in ("tool", "app"):
        for before in built[name].build_after:
            assert built[before].time_completed < built[name].time_started
            assert built[before].in_buildroot
    assert built["other"].time_started < built["base"].time_completed
    assert all(component.tagged for component in built.values())
    assert not Wait.objects.exists()


def test_nothing_starts_after_a_failure_and_the_module_fails_with_its_name(workers):
    build = make_graph(**{"fails-base": [], "tool": ["fails-base"], "app": ["tool"], "other": []})
    workers.start(beat=True, SIMULATED_BUILD_SECONDS=0.2)
    dispatch.advance(build.pk)
    wait_for_state(build, BuildState.FAILED)
    built = times(build)
    assert built["tool"].state is built["app"].state is None
    assert built["other"].state == ComponentState.COMPLETE
    assert "fails-base" in build.state_reason
    assert "tool" not in build.state_reason


@pytest.fixture
def graph(db) -> ModuleBuild:
    """A build whose component ``tool`` only lacks ``base`` in the buildroot."""
    build = make_graph(base=[], other=[], tool=["base"])
    ModuleBuild.objects.filter(pk=build.pk).update(state=BuildState.BUILD, batch=2)
    build.component_builds.filter(package="base").update(state=ComponentState.COMPLETE)
    build.component_builds.filter(package="other").update(state=ComponentState.BUILDING)
    build.component_builds.filter(package="tool").update(blocked=True)
    build.refresh_from_db()
    return build


def fail(build: ModuleBuild) -> None:
    build.component_builds.filter(package="other").update(state=ComponentState.FAILED)


def test_a_component_is_unblocked_by_the_arrival_of_what_it_lacks(graph: ModuleBuild) -> None:
    buildafter.unblock(graph, [times(graph)["base"]])
    assert not times(graph)["tool"].blocked


def test_nothing_is_unblocked_after_a_failure(graph: ModuleBuild) -> None:
    """Its task may have ended: it would get a slot, and the batch would not wait for it."""
    fail(graph)
    buildafter.unblock(graph, [times(graph)["base"]])
    assert times(graph)["base"].in_buildroot
    assert times(graph)["tool"].blocked


def test_the_task_of_a_component_ends_after_a_failure_only_if_it_is_blocked(graph: ModuleBuild) -> None:
    read_before = times(graph)["tool"]
    fail(graph)
    assert buildafter.wait(times(graph)["tool"]) is None
    graph.component_builds.filter(package="tool").update(blocked=False)
    assert isinstance(buildafter.wait(read_before), Park)
