"""What stands around module and component builds, read for a whole page with a fixed number of statements."""

from __future__ import annotations

from collections import defaultdict
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
from mbs.states import ACTIVE

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

    ``components`` holds values of ``COMPONENT_COLUMNS``, in the order of their ids.
    """

    components: dict[int, list[tuple[Any, ...]]]
    siblings: dict[int, list[int]]
    waiting: dict[int, Waiting]
    traces: dict[int, list[Trace]] = field(default_factory=dict)
    virtual_streams: dict[int, list[str]] = field(default_factory=dict)
    base_modules: dict[int, list[ModuleBuild]] = field(default_factory=dict)


COMPONENT_COLUMNS = ("module_build_id", "id", "format", "package", "task_id", "state", "state_reason", "nvr")

# A build's siblings share its name, stream, version and scratch flag. As a join, so that each row of the
# page is one look into the unique index; the ORM would write one OR for each row.
_SIBLINGS = """
SELECT build.id, sibling.id
FROM builds_modulebuild build
JOIN builds_modulebuild sibling
  ON sibling.name = build.name AND sibling.stream = build.stream
 AND sibling.version = build.version AND sibling.scratch = build.scratch
WHERE build.id IN ({}) AND sibling.id <> build.id
ORDER BY sibling.id
"""


def around_modules(builds: Sequence[ModuleBuild], *, verbose: bool = False) -> ModuleSurroundings:
    """Read what the default (at most 3 statements) or the verbose representation (6) adds to the rows."""
    ids = [build.pk for build in builds]
    if not ids:
        return ModuleSurroundings({}, {}, {})
    found = ModuleSurroundings(
        components=_group(
            ComponentBuild.objects.filter(module_build__in=ids)
            .order_by("module_build_id", "id")
            .values_list(*COMPONENT_COLUMNS)
        ),
        siblings=_siblings(ids),
        waiting=waiting("module_build_id", [build.pk for build in builds if build.state in ACTIVE]),
    )
    if verbose:
        _add_verbose(found, ids)
    return found


def _add_verbose(found: ModuleSurroundings, ids: Sequence[int]) -> None:
    traces = ModuleBuildTrace.objects.filter(module_build__in=ids).order_by("id")
    for build_id, *trace in traces.values_list("module_build_id", "time", "state", "state_reason"):
        found.traces.setdefault(build_id, []).append(tuple(trace))
    streams = ModuleBuild.virtual_streams.through.objects.filter(modulebuild__in=ids).order_by("id")
    for build_id, name in streams.values_list("modulebuild_id", "virtualstream__name"):
        found.virtual_streams.setdefault(build_id, []).append(name)
    links = BuildRequirement.objects.filter(module_build__in=ids).order_by("id").select_related("required")
    for link in links.only("module_build_id", *(f"required__{name}" for name in _SHORT)):
        found.base_modules.setdefault(link.module_build_id, []).append(link.required)


_SHORT = ("id", "name", "stream", "version", "context", "state", "stream_version")


def _group(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
    """Rows by their first column."""
    groups: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        groups[row[0]].append(row)
    return groups


def _siblings(ids: Sequence[int]) -> dict[int, list[int]]:
    siblings: dict[int, list[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SIBLINGS.format(", ".join(["%s"] * len(ids))), ids)
        for build_id, sibling_id in cursor.fetchall():
            siblings.setdefault(build_id, []).append(sibling_id)
    return siblings


def waiting(column: str, ids: Sequence[int]) -> dict[int, Waiting]:
    """The oldest wait of each of these, and how many there are.

    :param column: ``module_build_id`` or ``component_build_id``.
    """
    if not ids:
        return {}
    of_one = F(column)
    rows = (
        Wait.objects.filter(**{f"{column}__in": ids})
        .annotate(
            place=Window(RowNumber(), partition_by=of_one, order_by="id"),
            total=Window(Count("id"), partition_by=of_one),
        )
        .filter(place=1)
        .values_list(column, "what", "created_at", "wakes_on", "total")
    )
    return {key: Waiting(*values) for key, *values in rows}


def component_traces(components: Sequence[ComponentBuild]) -> dict[int, list[Trace]]:
    """The history of each component."""
    traces: dict[int, list[Trace]] = {}
    rows = ComponentBuildTrace.objects.filter(component_build__in=[c.pk for c in components]).order_by("id")
    for component_id, *trace in rows.values_list("component_build_id", "time", "state", "state_reason"):
        traces.setdefault(component_id, []).append(tuple(trace))
    return traces
