"""Module builds for tests of the workflow."""

from __future__ import annotations

from itertools import count
from typing import Any

from builds.models import ComponentBuild, ModuleBuild
from mbs.nsvc import NSVC
from mbs.states import BuildState
from tests.processes import wait_for

_numbers = count(1)
MODULEMD = """document: modulemd
version: 2
data:
  name: {name}
  stream: main
  summary: A module
  description: A module of a test.
  license: {{module: [MIT]}}
  dependencies:
  - buildrequires: {{platform: [f40]}}
    requires: {{platform: [f40]}}
"""


def make_build(*batches: list[str], owner: str = "anna", **fields: Any) -> ModuleBuild:
    """Make a module build in init with these batches, the first of which has number 1."""
    name = f"module{next(_numbers)}"
    nsvc = NSVC(name, "main", "1", "c0ffee00")
    build = ModuleBuild.objects.create(
        name=name,
        stream=nsvc.stream,
        version=nsvc.version,
        context=nsvc.context,
        state=BuildState.INIT,
        owner=owner,
        batches=len(batches),
        modulemd=MODULEMD.format(name=name),
        koji_tag=nsvc.koji_tag(),
        disttag=nsvc.disttag(1),
        **fields,
    )
    for number, packages in enumerate(batches, 1):
        for package in packages:
            ComponentBuild.objects.create(
                module_build=build,
                package=package,
                batch=number,
                scmurl=f"https://git.example.com/rpms/{package}",
                ref="0" * 40,
            )
    return build


def wait_for_state(build: ModuleBuild, state: BuildState, seconds: float = 120) -> ModuleBuild:
    """Wait until a build reaches a state."""

    def reached() -> bool:
        build.refresh_from_db()
        return build.state == state

    wait_for(reached, seconds, f"{build} to become {state.word}")
    return build


def make_graph(**after: list[str]) -> ModuleBuild:
    """Make a module build whose components (keywords) are built after the ones they name."""
    build = make_build(["module-build-macros"], list(after))
    for component in build.component_builds.filter(batch=2):
        component.build_after = after[component.package]
        component.blocked = bool(component.build_after)
        component.save()
    ModuleBuild.objects.filter(pk=build.pk).update(graph=True)
    return build
