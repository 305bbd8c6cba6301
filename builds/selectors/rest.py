"""Rows related to module and component builds, read for a page of a list by a fixed number of statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import (
    CharField,
    Count,
    DateTimeField,
    F,
    IntegerField,
    QuerySet,
    Value,
    Window,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, RowNumber

from builds.models import (
    BuildRequirement,
    ComponentBuild,
    ComponentBuildTrace,
    ModuleBuild,
    ModuleBuildTrace,
    Wait,
)
from builds.selectors.compiled import CompiledQuery, Given, Row
from builds.selectors.listing import ComponentRow, ModuleRow
from mbs.states import ACTIVE, ComponentState

#: Time, state and reason of a state change.
ModuleTrace = Row
ComponentTrace = Row


@dataclass(frozen=True)
class Waiting:
    """The oldest wait of a build or component, and the number of its waits."""

    what: str
    since: datetime
    wakes_on: str
    count: int = 1


@dataclass(frozen=True)
class ModuleRelations:
    """Related rows of module builds, by the id of the module build. Missing key: the build has no such rows.

    ``components`` holds values of ``COMPONENT_COLUMNS``, ordered by id. ``base_modules`` holds values of
    ``BASE_MODULE_COLUMNS`` of the required base modules (``BASE_MODULE_NAMES``).
    """

    components: dict[int, list[Row]] = field(default_factory=dict)
    siblings: dict[int, list[int]] = field(default_factory=dict)
    waiting: dict[int, Waiting] = field(default_factory=dict)
    traces: dict[int, list[ModuleTrace]] = field(default_factory=dict)
    virtual_streams: dict[int, list[str]] = field(default_factory=dict)
    base_modules: dict[int, list[Row]] = field(default_factory=dict)


#: States of components that have not ended.
OPEN = (None, ComponentState.BUILDING)
COMPONENT_COLUMNS = ("id", "format", "package", "task_id", "state", "state_reason", "nvr")
BASE_MODULE_COLUMNS = ("id", "state", "stream", "version", "name", "context", "stream_version")

# Rows are grouped by the first column of each query.
_module_traces = CompiledQuery(
    ModuleBuildTrace.objects.filter(module_build__among=Given())
    .order_by("id")
    .values_list("module_build_id", "time", "state", "state_reason")
)
_component_traces = CompiledQuery(
    ComponentBuildTrace.objects.filter(component_build__among=Given())
    .order_by("id")
    .values_list("component_build_id", "time", "state", "state_reason")
)
_virtual_streams = CompiledQuery(
    ModuleBuild.virtual_streams.through.objects.filter(modulebuild__among=Given())
    .order_by("id")
    .values_list("modulebuild_id", "virtualstream__name")
)
_base_modules = CompiledQuery(
    BuildRequirement.objects.filter(module_build__among=Given())
    .order_by("id")
    .values_list("module_build_id", *(f"required__{column}" for column in BASE_MODULE_COLUMNS))
)


def _oldest_waits(column: str, *columns: str | Combinable) -> QuerySet[Any, Any]:
    """Return the oldest wait of each value of ``column``, with the number of its waits (``count``)."""
    place = Window(RowNumber(), partition_by=F(column), order_by="id")
    count = Window(Count("id"), partition_by=F(column))
    waits = Wait.objects.filter(**{f"{column}__among": Given()}).annotate(place=place, count=count)
    return waits.filter(place=1).values_list(*columns)


_WAITING = ("what", "created_at", "wakes_on", "count")
_module_waits = CompiledQuery(_oldest_waits("module_build_id", "module_build_id", *_WAITING))
_component_waits = CompiledQuery(_oldest_waits("component_build_id", "component_build_id", *_WAITING))


def _read_around() -> QuerySet[Any, Any]:
    """Return the union of components, oldest waits, and builds of given names and versions, ordered by id.

    A row has the number of its module build (None in rows that are builds), its own id, and its values. Only
    waits have a time in the last column. The caller finds the siblings among the builds: most builds of one
    version are siblings, and the planning of a self-join would take five times as long as its execution.
    """
    no_text, no_number, no_time = (Value(None, field()) for field in (CharField, IntegerField, DateTimeField))
    components = ComponentBuild.objects.filter(module_build__among=Given()).values_list(
        "module_build_id", *COMPONENT_COLUMNS, no_time
    )
    waits = _oldest_waits(
        *("module_build_id", "module_build_id", "id"),
        *("what", "wakes_on", "count", "run", "key", no_text, "created_at"),
    )
    builds = ModuleBuild.objects.filter(name__among=Given(1), version__among=Given(2)).values_list(
        *(no_number, "id", "name", "stream"),
        *(Cast("scratch", IntegerField()), Cast("scratch", IntegerField()), "version", no_text, no_time),
    )
    return components.union(waits, builds, all=True).order_by("id")


_around = CompiledQuery(_read_around())


def module_relations(builds: Sequence[ModuleRow], *, verbose: bool = False) -> ModuleRelations:
    """Return the related rows for the default representation (1 statement), or the verbose one (4)."""
    ids = [build.pk for build in builds]
    found = ModuleRelations()
    families: dict[Row, list[int]] = {}
    for row in _around(ids, [build.name for build in builds], [build.version for build in builds]):
        owner, row_id = row[:2]
        if owner is None:
            name, stream, scratch, _, version = row[2:7]
            families.setdefault((name, stream, version, scratch), []).append(row_id)
        elif row[8] is None:
            found.components.setdefault(owner, []).append(row[1:8])
        else:
            what, wakes_on, count = row[2:5]
            found.waiting[owner] = Waiting(what, row[8], wakes_on, count)
    for build in builds:
        family = families.get((build.name, build.stream, build.version, build.scratch), ())
        own = build.pk
        found.siblings[own] = [other for other in family if other != own]
        if build.state not in ACTIVE:
            found.waiting.pop(own, None)
    if verbose:
        found.traces.update(_group(_module_traces(ids)))
        found.virtual_streams.update(
            (key, [name for (name,) in rows]) for key, rows in _group(_virtual_streams(ids)).items()
        )
        name = BASE_MODULE_COLUMNS.index("name") + 1
        required = (row for row in _base_modules(ids) if row[name] in settings.MBS.BASE_MODULE_NAMES)
        found.base_modules.update(_group(required))
    return found


def module_waits(builds: Iterable[ModuleRow]) -> dict[int, Waiting]:
    """Return the waits of active builds."""
    active = [build.pk for build in builds if build.state in ACTIVE]
    return {key: Waiting(*values) for key, *values in _module_waits(active)}


def component_waits(components: Iterable[ComponentRow]) -> dict[int, Waiting]:
    """Return the waits of components that have not ended."""
    open_ = [component.pk for component in components if component.state in OPEN]
    return {key: Waiting(*values) for key, *values in _component_waits(open_)}


def component_traces(components: Iterable[ComponentRow]) -> dict[int, list[ComponentTrace]]:
    """Return the state changes of each component."""
    return _group(_component_traces([component.pk for component in components]))


def _group(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Group rows by their first column, which is removed from them."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[0], []).append(row[1:])
    return groups
