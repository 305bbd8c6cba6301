"""The configured build system, and module builds as it sees them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache, wraps
from typing import Any, TypeVar

from django.conf import settings

from builds import dispatch
from builds.models import ComponentBuild, ModuleBuild
from builds.observability import metrics
from buildsys import registry
from buildsys.base import BuildSystem, FindsRpms, Job, Module
from mbs import macros
from mbs.errors import InvalidInput, NotSupported

RUN_TASK = "builder.run"
_RPM = re.compile(r"[^\s/@]+-[^\s/@-]+-[^\s/@-]+")
_System = TypeVar("_System", bound=BuildSystem)


@cache
def build_system() -> BuildSystem:
    """The build system that ``SYSTEM`` names, made once per process."""
    return measured(registry.create(settings.MBS.SYSTEM, settings.MBS, _send))


def tags_holding(rpm: str) -> list[str]:
    """See ``buildsys.base.FindsRpms``.

    :raises NotSupported: the build system does not know what modules hold.
    :raises InvalidInput: no RPM has such a name.
    """
    system = build_system()
    if not isinstance(system, FindsRpms):
        raise NotSupported("The build system cannot search for modules by their RPMs.", code="no_rpm_search")
    if not _RPM.fullmatch(rpm):
        raise InvalidInput(
            f"{rpm[:100]!r} is no name of an RPM.",
            code="invalid_rpm",
            hint="Write name-version-release.arch.",
        )
    return system.tags_holding(rpm)


def measured(system: _System) -> _System:
    """The same system; how often each method of the Protocol is called, and how long it takes, is counted."""
    for name, method in vars(BuildSystem).items():
        if callable(method) and not name.startswith("_"):
            setattr(system, name, _measured(name, getattr(system, name)))
    return system


def _measured(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        with metrics.call(name):
            return method(*args, **kwargs)

    return call


def _send(task_id: int, delay: float) -> None:
    dispatch.send_now(RUN_TASK, task_id, countdown=delay)


def as_module(
    build: ModuleBuild, *, groups: Mapping[str, tuple[str, ...]] | None = None, document: bool = True
) -> Module:
    """A module build as a build system sees it.

    :param document: False where its modulemd is not needed, and need not be read.
    """
    return Module(
        id=build.pk,
        name=build.name,
        stream=build.stream,
        version=build.version,
        context=build.context,
        tag=build.koji_tag or "",
        owner=build.owner,
        scratch=build.scratch,
        arches=tuple(build.arch_names),
        modulemd=build.modulemd if document else "",
        disttag=build.disttag,
        buildrequires=build.buildrequires,
        groups=groups or {},
        since=build.started_at.timestamp(),
        submitted=build.time_submitted.timestamp(),
    )


def as_jobs(
    build: ModuleBuild,
    components: Iterable[ComponentBuild],
    *,
    fresh: Collection[ComponentBuild] = (),
    specs: bool = True,
) -> list[Job]:
    """Return components as a build system sees them; module-build-macros comes with its spec file.

    :param fresh: components whose first slot this is: none of them was ever submitted in this attempt.
    :param specs: False where nothing is to be built, but found.
    """
    module = as_module(build)
    return [
        Job(
            component_id=component.pk,
            attempt=component.attempt,
            module=module,
            package=component.package,
            source=f"{component.scmurl}#{component.ref}" if component.scmurl else "",
            spec=macros.spec_for(build) if specs and not component.scmurl else "",
            weight=component.weight,
            arches=tuple(component.arches) or module.arches,
            maybe_submitted=component.attempt > 1 or component not in fresh,
        )
        for component in components
    ]
