"""Components that are built after others (``buildafter``), with real workers."""

from __future__ import annotations

from builds import dispatch
from builds.models import ComponentBuild, Wait
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
