"""The configured build system, and the conversion of builds to its types."""

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
    """Return the build system that the option ``SYSTEM`` names, created once per process."""
    return instrument(registry.create(settings.MBS.SYSTEM, settings.MBS, _send))


def tags_holding(rpm: str) -> list[str]:
    """Return the tags that contain an RPM; see ``buildsys.base.FindsRpms``.

    Raises:
        NotSupported: The build system cannot search for RPMs.
        InvalidInput: The text is not a name of an RPM.
    """
    system = build_system()
    if not isinstance(system, FindsRpms):
        raise NotSupported(
            "This build system cannot search for modules by their RPMs.",
            code="no_rpm_search",
            hint="Leave the filter rpm out.",
        )
    if not _RPM.fullmatch(rpm):
        raise InvalidInput(
            f"{rpm[:100]!r} is not a name of an RPM.",
            code="invalid_rpm",
            hint="Use the form name-version-release.arch.",
        )
    return system.tags_holding(rpm)


def instrument(system: _System) -> _System:
    """Make a build system count and time the calls of its methods, and return it."""
    for name, method in vars(BuildSystem).items():
        if callable(method) and not name.startswith("_"):
            setattr(system, name, _instrumented(name, getattr(system, name)))
    return system


def _instrumented(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
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
    """Convert a module build to the build system's type.

    Args:
        build: The module build.
        groups: Packages of its build groups, if they are needed.
        document: Whether its modulemd is needed; False avoids reading the deferred column.
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
    """Convert components to the build system's type; module-build-macros includes its spec file.

    Args:
        build: Their module build.
        components: The components.
        fresh: Those that were not submitted before in this attempt.
        specs: Whether spec files are needed; False if jobs are only searched for.
    """
    module, untried = as_module(build), set(fresh)
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
            maybe_submitted=component.attempt > 1 or component not in untried,
        )
        for component in components
    ]
