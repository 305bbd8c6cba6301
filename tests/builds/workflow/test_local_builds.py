"""Builds with rpmbuild whose worker is killed are started once more, in a clean folder."""

from __future__ import annotations

import json
from pathlib import Path

from builds import dispatch
from builds.models import ModuleBuild, Wait
from builds.services.build_system import as_module
from mbs.states import BuildState, ComponentState
from tests.builds.workers import Workers
from tests.builds.workflow.modules import make_build, wait_for_state
from tests.buildsys.packages import spec
from tests.gitrepos import make_repo, url
from tests.processes import wait_for

#: fails when anything of an earlier try is there, and takes its time
BUILD = "test ! -e left-behind; touch left-behind; echo building for real; sleep 3; echo built to the end"


def make_local(folder: Path, package: str) -> ModuleBuild:
    """A module build with one component, in a git repository of its own."""
    build = make_build([package])
    repository = folder / package
    text = spec(package, build=BUILD, of=as_module(build))
    commit = make_repo(repository, {f"{package}.spec": text})
    build.component_builds.update(scmurl=url(repository), ref=commit)
    return build


def logs(folder: Path) -> dict[int, str]:
    """Number of each submission -> its log so far."""
    found = (folder / "local" / "tasks").glob("*/build.log")
    return {int(path.parent.name): path.read_text("utf-8", "replace") for path in found}


def outcomes(folder: Path) -> dict[int, str]:
    found = (folder / "local" / "tasks").glob("*/result.json")
    return {int(path.parent.name): json.loads(path.read_text())["state"] for path in found}


def test_a_build_whose_worker_is_killed_is_started_once_more(workers: Workers, tmp_path: Path) -> None:
    build = make_local(tmp_path, "one")
    steps = workers.start(queues="workflow,sweeps,polls", beat=True, SYSTEM="local")
    builder = workers.start(queues="builds", SYSTEM="local")
    dispatch.advance(build.pk)
    wait_for(lambda: "\nbuilding for real" in "".join(logs(tmp_path).values()), 60, "a build that has begun")
    builder.kill()
    steps.kill()
    workers.start(queues="workflow,sweeps,polls", beat=True, SYSTEM="local")
    workers.start(queues="builds", SYSTEM="local")
    wait_for_state(build, BuildState.READY, 60)
    component = build.component_builds.get()
    assert (component.state, component.attempt) == (ComponentState.COMPLETE, 2)
    first, second = sorted(logs(tmp_path))
    assert component.task_id == second
    assert outcomes(tmp_path) == {second: "complete"}
    assert "\nbuilt to the end" not in logs(tmp_path)[first]
    assert logs(tmp_path)[second].count("\nbuilt to the end") == 1
    assert [trace.state for trace in component.state_trace.all()].count(ComponentState.COMPLETE) == 1
    assert not Wait.objects.exists()
