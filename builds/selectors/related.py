"""What stands around module and component builds, read for a whole page with a fixed number of statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from builds.models import (
    BuildRequirement,
    ComponentBuild,
    ComponentBuildTrace,
    ModuleBuild,
    ModuleBuildTrace,
    Wait,
)
from builds.selectors.prepared import ByIds, Row
from mbs.states import ACTIVE, ComponentState

#: (time, state, reason)
Trace = tuple[datetime, int | None, str | None]


@dataclass(frozen=True)
class Waiting:
    """What something waits for: its oldest wait, and how many there are."""

    what: str
    since: datetime
    wakes_on: str
    count: int = 1


@dataclass(frozen=True)
class ModuleSurroundings:
    """By id of the module build; what a build has none of is not in it.

    ``components`` holds values of ``COMPONENT_COLUMNS``, in the order of their ids; ``base_modules`` those
    of ``BASE_MODULE_COLUMNS``.
    """

    components: dict[int, list[tuple[Any, ...]]]
    siblings: dict[int, list[int]]
    waiting: dict[int, Waiting]
    traces: dict[int, list[Trace]] = field(default_factory=dict)
    virtual_streams: dict[int, list[str]] = field(default_factory=dict)
    base_modules: dict[int, list[tuple[Any, ...]]] = field(default_factory=dict)


#: states of components that have not ended
OPEN = (None, ComponentState.BUILDING)
COMPONENT_COLUMNS = ("id", "format", "package", "task_id", "state", "state_reason", "nvr")
BASE_MODULE_COLUMNS = ("id", "state", "stream", "version", "name", "context", "stream_version")

# The first column of each is what the rows are grouped by.
_components = ByIds(
    lambda ids: (
        ComponentBuild.objects.filter(module_build__in=ids)
        .order_by("module_build_id", "id")
        .values_list("module_build_id", *COMPONENT_COLUMNS)
    )
)
_module_traces = ByIds(
    lambda ids: (
        ModuleBuildTrace.objects.filter(module_build__in=ids)
        .order_by("id")
        .values_list("module_build_id", "time", "state", "state_reason")
    )
)
_component_traces = ByIds(
    lambda ids: (
        ComponentBuildTrace.objects.filter(component_build__in=ids)
        .order_by("id")
        .values_list("component_build_id", "time", "state", "state_reason")
    )
)
_virtual_streams = ByIds(
    lambda ids: (
        ModuleBuild.virtual_streams.through.objects.filter(modulebuild__in=ids)
        .order_by("id")
        .values_list("modulebuild_id", "virtualstream__name")
    )
)
_base_modules = ByIds(
    lambda ids: (
        BuildRequirement.objects.filter(module_build__in=ids)
        .order_by("id")
        .values_list("module_build_id", *(f"required__{column}" for column in BASE_MODULE_COLUMNS))
    )
)


def _oldest_waits(column: str) -> ByIds:
    """The oldest wait of each, and how many there are."""
    place = Window(RowNumber(), partition_by=F(column), order_by="id")
    count = Window(Count("id"), partition_by=F(column))
    return ByIds(
        lambda ids: (
            Wait.objects.filter(**{f"{column}__in": ids})
            .annotate(place=place, count=count)
            .filter(place=1)
            .values_list(column, "what", "created_at", "wakes_on", "count")
        )
    )


_module_waits = _oldest_waits("module_build_id")
_component_waits = _oldest_waits("component_build_id")

# Which of them are siblings is seen here: a join of the table with itself would take the database five times
# as long to plan as to carry out. Two builds of one version are mostly siblings.
_SAME_VERSION = """
SELECT id, name, stream, version, scratch FROM builds_modulebuild
WHERE name IN ({}) AND version IN ({}) ORDER BY id
"""


def around_modules(builds: Sequence[ModuleBuild], *, verbose: bool = False) -> ModuleSurroundings:
    """Read what the default (at most 3 statements) or the verbose representation (6) adds to the rows."""
    ids = [build.pk for build in builds]
    found = ModuleSurroundings(
        components=_group(_components(ids)),
        siblings=_siblings(builds),
        waiting=module_waits(builds),
    )
    if verbose:
        found.traces.update(_group(_module_traces(ids)))
        found.virtual_streams.update(
            (key, [name for (name,) in rows]) for key, rows in _group(_virtual_streams(ids)).items()
        )
        found.base_modules.update(_group(_base_modules(ids)))
    return found


def module_waits(builds: Iterable[ModuleBuild]) -> dict[int, Waiting]:
    """What each build waits for that is on its way."""
    active = [build.pk for build in builds if build.state in ACTIVE]
    return {key: Waiting(*values) for key, *values in _module_waits(active)}


def component_waits(components: Iterable[ComponentBuild]) -> dict[int, Waiting]:
    """What each component waits for that has not ended."""
    open_ = [component.pk for component in components if component.state in OPEN]
    return {key: Waiting(*values) for key, *values in _component_waits(open_)}


def component_traces(components: Iterable[ComponentBuild]) -> dict[int, list[Trace]]:
    """The history of each component."""
    return _group(_component_traces([component.pk for component in components]))


def _group(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """The rest of each row, by its first column."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[0], []).append(row[1:])
    return groups


def _siblings(builds: Sequence[ModuleBuild]) -> dict[int, list[int]]:
    """Ids of the builds that share name, stream, version and scratch flag with each."""
    if not builds:
        return {}
    names, versions = (list({getattr(build, column) for build in builds}) for column in ("name", "version"))
    places = [", ".join(["%s"] * len(values)) for values in (names, versions)]
    families: dict[Row, list[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SAME_VERSION.format(*places), names + versions)
        for build_id, *family in cursor.fetchall():
            families.setdefault(tuple(family), []).append(build_id)
    return {
        build.pk: [other for other in families.get(_family(build), ()) if other != build.pk]
        for build in builds
    }


def _family(build: ModuleBuild) -> Row:
    return build.name, build.stream, build.version, build.scratch
