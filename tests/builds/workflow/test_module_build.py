"""Module builds from init to ready, with real workers."""

from __future__ import annotations

from builds import dispatch
from builds.models import ComponentBuild, Wait
from mbs.states import BuildState, ComponentState
from tests.builds.workflow.modules import make_build, wait_for_state
from tests.gitrepos import make_repo, package_files, url
from tests.processes import wait_for


def test_a_module_of_two_batches_becomes_ready(workers):
    build = make_build(["first"], ["second", "third"])
    workers.start()
    dispatch.advance(build.pk)
    wait_for_state(build, BuildState.READY)
    assert [trace.state for trace in build.state_trace.all()] == [
        BuildState.WAIT,
        BuildState.BUILD,
        BuildState.DONE,
        BuildState.READY,
    ]
    assert {component.state for component in build.component_builds.all()} == {ComponentState.COMPLETE}
    assert not Wait.objects.exists()


def test_the_end_of_a_build_wakes_the_workflow_without_a_sweep(workers):
    build = make_build(["first"], ["second", "third"])
    workers.start(SIMULATED_BUILD_SECONDS=0.3, SIMULATED_REPO_SECONDS=0.2)
    dispatch.advance(build.pk)
    wait_for_state(build, BuildState.READY, seconds=20)


def test_components_that_git_had_not_answered_for_are_looked_at_in_init(workers, tmp_path):
    build = make_build(["module-build-macros"], ["alpha"])
    commit = make_repo(tmp_path / "rpms" / "alpha", package_files("alpha"), branch="main")
    ComponentBuild.objects.filter(package="alpha").update(
        scmurl=url(tmp_path / "rpms" / "alpha"), ref=None, unresolved_ref="main"
    )
    workers.start(beat=True)
    dispatch.advance(build.pk)
    wait_for_state(build, BuildState.READY)
    component = build.component_builds.get(package="alpha")
    assert (component.ref, component.unresolved_ref) == (commit, "")
    wait_for(lambda: not Wait.objects.exists(), what="no wait")
