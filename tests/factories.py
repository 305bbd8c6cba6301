"""Make rows for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from builds.models import (
    BuildRequirement,
    ComponentBuild,
    ComponentBuildTrace,
    ModuleBuild,
    ModuleBuildTrace,
    VirtualStream,
    Wait,
)
from mbs.states import BuildState, ComponentState

_numbers = count(1)
START = datetime(2024, 1, 1, tzinfo=UTC)
#: States that a build goes through to reach a state.
PATHS = {
    BuildState.FAILED: [BuildState.INIT, BuildState.WAIT, BuildState.BUILD, BuildState.FAILED],
    BuildState.READY: [BuildState.INIT, BuildState.WAIT, BuildState.BUILD, BuildState.DONE, BuildState.READY],
}


def module_build(*, components: int = 0, requires: ModuleBuild | None = None, **values: Any) -> ModuleBuild:
    """Make a module build with its trace.

    Args:
        components: Number of components with traces; they are COMPLETE if the build is ready.
        requires: A base module in its buildroot.
    """
    number = next(_numbers)
    state = BuildState(values.pop("state", BuildState.INIT))
    time = values.pop("time_submitted", START + timedelta(minutes=number))
    values = {
        "name": "quiet",
        "stream": "1",
        "version": str(20240101000000 + number),
        "context": f"c{number:07}",
        "owner": "ann",
        "scmurl": "https://git.example.com/modules/quiet?#abcdef",
        "modulemd": "document: modulemd\n",
        "time_modified": time,
        **values,
    }
    build = ModuleBuild.objects.create(state=state, time_submitted=time, **values)
    path = PATHS.get(state, [BuildState(n) for n in range(state + 1)])
    ModuleBuildTrace.objects.bulk_create(
        [ModuleBuildTrace(module_build=build, state=step, time=time) for step in path]
    )
    for place in range(components):
        component_build(
            build,
            package=f"package{place}",
            batch=2 + place // 3,
            state=ComponentState.COMPLETE if state == BuildState.READY else None,
        )
    if requires is not None:
        BuildRequirement.objects.create(module_build=build, required=requires)
    return build


def component_build(build: ModuleBuild, **values: Any) -> ComponentBuild:
    """Make a component build with a trace of one step."""
    values = {"package": f"package{next(_numbers)}", "batch": 2, **values}
    component = ComponentBuild.objects.create(module_build=build, **values)
    ComponentBuildTrace.objects.create(
        component_build=component, state=component.state, task_id=component.task_id, time=START
    )
    return component


def base_module(stream: str = "f30", *, virtual_streams: tuple[str, ...] = (), **values: Any) -> ModuleBuild:
    """Make a ready base module."""
    values = {"name": "platform", "version": "3", "context": "00000000", **values}
    build = module_build(stream=stream, state=BuildState.READY, **values)
    for name in virtual_streams:
        build.virtual_streams.add(VirtualStream.objects.get_or_create(name=name)[0])
    return build


def wait(build: ModuleBuild, **values: Any) -> Wait:
    """Make a parked task of a build."""
    number = next(_numbers)
    values = {
        "key": f"repo:{number}",
        "celery_task_id": f"task-{number}",
        "run": 1,
        "signature": {},
        "what": "the repository is being regenerated",
        "wakes_on": "the build system's report of the tags",
        "created_at": START,
        **values,
    }
    return Wait.objects.create(module_build=build, **values)
