"""Events of module builds (state changes, component changes, log messages) and the progress of builds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import BooleanField, CharField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from builds.encoding import encode
from builds.models import (
    ComponentBuild,
    ComponentBuildTrace,
    LogMessage,
    ModuleBuild,
    ModuleBuildTrace,
)
from mbs.states import BuildState, ComponentState

_FINAL = Q(state__in=(BuildState.FAILED, BuildState.READY, BuildState.GARBAGE)) | Q(
    state=BuildState.DONE, scratch=True
)
#: Number, time and values of an event.
_Content = tuple[int, datetime, Mapping[str, object]]


class Kind(StrEnum):
    """Kind of an event. Each kind has its own table, whose primary keys number its events."""

    STATE = "state"
    COMPONENT = "component"
    LOG = "log"


@dataclass(frozen=True)
class Event:
    """An event with its content.

    Attributes:
        kind: Its kind.
        number: Primary key of its row.
        time: Time at which it happened.
        data: A JSON object in UTF-8.
    """

    kind: Kind
    number: int
    time: datetime
    data: bytes


@dataclass(frozen=True)
class Row:
    """An event without its content."""

    kind: Kind
    build_id: int
    number: int
    time: datetime


@dataclass(frozen=True)
class Progress:
    """Progress of a build.

    Attributes:
        batch: Number of the current batch.
        phase: Phase of the batch.
        over: Whether the build and all its components have ended, so that no more events follow.
    """

    batch: int
    phase: str
    over: bool


def rows(
    fresh: Collection[int], known: Collection[int], above: Mapping[Kind, int]
) -> tuple[list[Row], dict[int, Progress]]:
    """Return events of builds, and the progress of each build that exists, by one statement.

    Args:
        fresh: Numbers of builds whose events are all returned.
        known: Numbers of builds whose events are returned if their numbers are above ``above``.
        above: Kind -> highest event number that the caller has seen.
    """

    def wanted(kind: Kind, path: str) -> Q:
        return Q(**{f"{path}__in": fresh}) | Q(**{f"{path}__in": known, "pk__gt": above.get(kind, 0)})

    def part(kind: str, query: QuerySet[Any], *columns: Any) -> QuerySet[Any, Any]:
        word = Value(kind, CharField())
        no = (Value("", CharField()), Value(False, BooleanField()))
        return query.order_by().values_list(word, *columns, *(no if len(columns) == 3 else ()))

    of_component = "component_build__module_build"
    building = ComponentBuild.objects.filter(module_build=OuterRef("pk"), state=ComponentState.BUILDING)
    over = ModuleBuild.objects.filter(_FINAL, ~Exists(building), pk=OuterRef("pk"))
    of_log = Coalesce("module_build_id", "component_build__module_build_id")
    statement = part(
        "",
        ModuleBuild.objects.filter(pk__in={*fresh, *known}),
        "pk",
        "batch",
        "time_modified",
        "phase",
        Exists(over),
    ).union(
        part(
            Kind.STATE,
            ModuleBuildTrace.objects.filter(wanted(Kind.STATE, "module_build")),
            "module_build_id",
            "pk",
            "time",
        ),
        part(
            Kind.COMPONENT,
            ComponentBuildTrace.objects.filter(wanted(Kind.COMPONENT, of_component)),
            f"{of_component}_id",
            "pk",
            "time",
        ),
        part(
            Kind.LOG,
            LogMessage.objects.filter(wanted(Kind.LOG, "module_build") | wanted(Kind.LOG, of_component)),
            of_log,
            "pk",
            "time_created",
        ),
        all=True,
    )
    found, progress = [], {}
    for kind, build_id, number, time, phase, is_over in statement:
        if kind:
            found.append(Row(Kind(kind), build_id, number, time))
        else:
            progress[build_id] = Progress(number, phase, bool(is_over))
    return found, progress


def load(wanted: Iterable[Row]) -> dict[tuple[Kind, int], Event]:
    """Return events with their content, by kind and number, by one statement for each kind."""
    numbers: dict[Kind, list[int]] = {}
    for row in wanted:
        numbers.setdefault(row.kind, []).append(row.number)
    readers = {Kind.STATE: _states, Kind.COMPONENT: _components, Kind.LOG: _logs}
    found = {}
    for kind, some in numbers.items():
        for number, time, data in readers[kind](some):
            found[kind, number] = Event(kind, number, time, encode({**data, "time": time}))
    return found


def _states(numbers: list[int]) -> Iterator[_Content]:
    for step in ModuleBuildTrace.objects.filter(pk__in=numbers):
        yield step.pk, step.time, {"module_build": step.module_build_id, **state_data(step)}


def _components(numbers: list[int]) -> Iterator[_Content]:
    for step in ComponentBuildTrace.objects.filter(pk__in=numbers).select_related("component_build"):
        build_id = step.component_build.module_build_id
        yield step.pk, step.time, {"module_build": build_id, **component_data(step)}


def _logs(numbers: list[int]) -> Iterator[_Content]:
    for line in LogMessage.objects.filter(pk__in=numbers):
        yield (
            line.pk,
            line.time_created,
            {"message": line.message, "component_build": line.component_build_id},
        )


def state_data(step: ModuleBuildTrace) -> dict[str, object]:
    """Return the values of an event for a state change of a module build."""
    return {
        "state": step.state,
        "state_name": BuildState(step.state).word,
        "reason": step.state_reason,
    }


def component_data(step: ComponentBuildTrace) -> dict[str, object]:
    """Return the values of an event for a state change of a component."""
    component = step.component_build
    return {
        "component_build": component.pk,
        "package": component.package,
        "batch": component.batch,
        "state": step.state,
        "state_name": None if step.state is None else ComponentState(step.state).name,
        "reason": step.state_reason,
        "task_id": step.task_id,
        "nvr": component.nvr,
    }
