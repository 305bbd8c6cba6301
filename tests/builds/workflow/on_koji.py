"""Module builds on a hub double for tests of the workflow."""

from __future__ import annotations

from typing import Any

from builds.models import ModuleBuild
from builds.workflow import steps
from mbs import macros
from tests.builds.workflow.modules import make_build
from tests.buildsys.koji.double import HubDouble

PLATFORM = {
    "platform": {"stream": "f40", "version": "1", "context": "00000000", "koji_tag": "platform-build"}
}


def build_in_init(*batches: list[str], **fields: Any) -> ModuleBuild:
    """Make a build with its macros package and components in batches, on the platform."""
    build = make_build([macros.PACKAGE], *batches, buildrequires=PLATFORM, **fields)
    build.component_builds.filter(batch=1).update(scmurl=None, ref=None, build_time_only=True)
    return build


def settle(hub: HubDouble) -> None:
    """Let the hub end all tasks."""
    with hub.lock:
        for _ in range(3):
            hub.books.tick()


def prepared(hub: HubDouble, build: ModuleBuild) -> ModuleBuild:
    """Bring the build to the state ``build``, with its tags and its first repository."""
    steps.initialize(build.pk, 0)
    while steps.prepare(build.pk, 0) is not None:
        settle(hub)
    build.refresh_from_db()
    return build
