"""Query the events of all module builds: state changes of modules and of components, in the order of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from builds.encoding import encode
from builds.models import ComponentBuildTrace, ModuleBuild, ModuleBuildTrace
from builds.selectors.events import Event, Kind, component_data, state_data
from mbs.nsvc import PARTS

_OF_MODULE = (*PARTS, "owner")


@dataclass(frozen=True)
class ModuleEvent(Event):
    """An event, with the values of its module build by which clients select events.

    Attributes:
        owner: Owner of the module build.
        name: Name of the module.
        stream: Stream of the module.
    """

    owner: str
    name: str
    stream: str


def after(above: Mapping[Kind, int], limit: int) -> list[ModuleEvent]:
    """Return the first events of each kind after the given numbers, in two statements."""
    states = ModuleBuildTrace.objects.filter(pk__gt=above.get(Kind.STATE, 0)).order_by("pk")
    components = ComponentBuildTrace.objects.filter(pk__gt=above.get(Kind.COMPONENT, 0)).order_by("pk")
    return [*_states(states[:limit]), *_components(components[:limit])]


def newest(limit: int) -> list[tuple[Kind, int, datetime]]:
    """Return kind, number and time of the newest events of each kind."""
    return [
        (kind, number, time)
        for kind, model in ((Kind.STATE, ModuleBuildTrace), (Kind.COMPONENT, ComponentBuildTrace))
        for number, time in model.objects.order_by("-pk").values_list("pk", "time")[:limit]
    ]


def _states(rows: Any) -> Iterator[ModuleEvent]:
    columns = [f"module_build__{name}" for name in _OF_MODULE]
    for step in rows.select_related("module_build").only("id", "state", "state_reason", "time", *columns):
        yield _event(Kind.STATE, step, step.module_build, state_data(step))


def _components(rows: Any) -> Iterator[ModuleEvent]:
    related = rows.select_related("component_build__module_build")
    columns = [f"component_build__module_build__{name}" for name in _OF_MODULE]
    own = ("id", "state", "state_reason", "task_id", "time")
    of_component = ("component_build__package", "component_build__batch", "component_build__nvr")
    for step in related.only(*own, *of_component, *columns):
        yield _event(Kind.COMPONENT, step, step.component_build.module_build, component_data(step))


def _event(kind: Kind, step: Any, build: ModuleBuild, data: dict[str, object]) -> ModuleEvent:
    shared = {"module_build": build.pk} | {name: getattr(build, name) for name in _OF_MODULE}
    text = encode({**shared, **data, "time": step.time})
    return ModuleEvent(kind, step.pk, step.time, text, build.owner, build.name, build.stream)
