"""Find the logs of a component, and choose the one to show first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builds.models import ComponentBuild
from builds.services.build_system import build_system
from builds.services.logs.reading import Log
from buildsys.logs import LogFile, ReadsLogs
from mbs.errors import NotFound, NotSupported

_COLUMNS = (
    *("id", "package", "state", "state_reason", "task_id", "task_url", "nvr", "reused_component_id"),
    *("time_started", "time_completed", "weight"),
    *("module_build__name", "module_build__stream", "module_build__version", "module_build__context"),
    *("module_build__state", "module_build__owner"),
)


@dataclass(frozen=True)
class ComponentLogs:
    """The logs of a component.

    Attributes:
        component: The component, with its module build.
        files: The logs that the build system lists; empty before the build has written any.
    """

    component: ComponentBuild
    files: Sequence[LogFile]

    @property
    def first(self) -> str:
        """Return the name of the log to show first: the one in the failure reason, otherwise the first."""
        reason = self.component.state_reason or ""
        named = (each for each in self.files if each.name.rpartition("/")[2] in reason)
        return next(named, self.files[0]).name if self.files else ""


def component(build_id: int, package: str) -> ComponentBuild:
    """Return a component of a module build.

    Raises:
        NotFound: ``no_such_component``.
    """
    rows = ComponentBuild.objects.select_related("module_build").only(*_COLUMNS)
    found = None if "\0" in package else rows.filter(module_build=build_id, package=package).first()
    if found is None:
        raise NotFound(
            f"The module build {build_id} has no component {package[:100]!r}.",
            code="no_such_component",
            hint=f"Its components are on the page /builds/{build_id}.",
        )
    return found


def logs_of(row: ComponentBuild) -> ComponentLogs:
    """Return the logs of a component; for a reused one, the logs of the original.

    Raises:
        NotSupported: ``no_logs``: the build system provides no logs.
        BuildSystemUnavailable: The build system does not answer.
    """
    return ComponentLogs(row, reader().logs(row.task_id) if row.task_id else ())


def log_of(row: ComponentBuild, name: str) -> Log:
    """Return one log of a component, without reading it.

    Raises:
        NotFound: ``no_log_yet``: the component was not submitted to the build system.
        NotSupported: See ``logs_of``.
    """
    if row.task_id is None:
        raise NotFound(
            f"{row.package} has no log yet: it has not been given to the build system.",
            code="no_log_yet",
            hint="The log becomes available when the component's build starts.",
        )
    return Log(reader(), row.task_id, name)


def reader() -> ReadsLogs:
    """Return the build system as a reader of logs.

    Raises:
        NotSupported: ``no_logs``: the build system provides no logs.
    """
    system = build_system()
    if not isinstance(system, ReadsLogs):
        raise NotSupported("The build system does not provide logs.", code="no_logs")
    return system
