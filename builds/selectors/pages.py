"""Builds and their progress for the web pages, read by a fixed number of statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, F, Q, QuerySet

from builds.models import ComponentBuild, FinalModulemd, LogMessage, ModuleBuild, ModuleBuildTrace, Wait
from builds.selectors import rest
from builds.selectors.compiled import CompiledQuery, Given
from builds.selectors.rest import Waiting
from mbs.nsvc import PARTS
from mbs.states import ACTIVE, ComponentState
from mbs.text import natural

#: Columns that a list of builds shows.
LIST_COLUMNS = (
    *("id", *PARTS, "state", "phase", "owner", "scratch"),
    *("state_reason", "error_code", "time_submitted", "time_modified", "time_completed"),
)
#: Waits and log messages that the page of a build shows at most, and messages of all its components
MAX_WAITS = 20
MAX_MESSAGES = 50
#: Builds of other contexts that the page of a build names.
MAX_SIBLINGS = 50
MAX_COMPONENT_MESSAGES = 300


@dataclass(frozen=True)
class Counts:
    """Numbers of a build's components; ``failed`` includes canceled ones."""

    total: int = 0
    complete: int = 0
    building: int = 0
    failed: int = 0


@dataclass(frozen=True)
class ListedBuild:
    """One build in a list."""

    build: ModuleBuild
    counts: Counts
    waiting: Waiting | None


@dataclass(frozen=True)
class BuildDetails:
    """All data of the page of one build.

    Attributes:
        components: Components, each with ``reused_from``, the id of the module build it was reused from.
        messages: Log messages of the build itself, newest first.
        component_messages: Log messages of its components, by component id.
    """

    build: ModuleBuild
    traces: Sequence[ModuleBuildTrace]
    components: Sequence[ComponentBuild]
    waits: Sequence[Wait]
    messages: Sequence[LogMessage]
    siblings: Sequence[ModuleBuild]
    component_messages: Mapping[int | None, Sequence[LogMessage]]


_counts = CompiledQuery(
    ComponentBuild.objects.filter(module_build__among=Given())
    .values("module_build_id")
    .annotate(
        total=Count("id"),
        complete=Count("id", filter=Q(state=ComponentState.COMPLETE)),
        building=Count("id", filter=Q(state=ComponentState.BUILDING)),
        failed=Count("id", filter=Q(state=ComponentState.FAILED)),
    )
    .values_list("module_build_id", "total", "complete", "building", "failed")
)


def latest(rows: QuerySet[ModuleBuild], count: int, *, before: int | None = None) -> list[ListedBuild]:
    """Return the newest builds of a query, in three statements.

    Args:
        rows: the builds to choose from.
        count: how many at most.
        before: only builds with a smaller number.
    """
    if before is not None:
        rows = rows.filter(pk__lt=before)
    builds = list(rows.only(*LIST_COLUMNS).order_by("-id")[:count])
    counts = {key: Counts(*values) for key, *values in _counts([build.pk for build in builds])}
    waits = rest.module_waits(builds)
    return [ListedBuild(build, counts.get(build.pk, Counts()), waits.get(build.pk)) for build in builds]


def build_details(number: int) -> BuildDetails | None:
    """Return a build with everything that its page shows, by seven statements; None: there is none."""
    build = ModuleBuild.objects.defer("modulemd").filter(pk=number).first()
    if build is None:
        return None
    rows = build.component_builds.annotate(reused_from=F("reused_component__module_build_id"))
    components = sorted(rows, key=lambda each: (each.batch, natural(each.package), each.pk))
    component_messages: dict[int | None, list[LogMessage]] = {}
    of_components = LogMessage.objects.filter(component_build__in=[row.pk for row in components])
    for message in of_components.order_by("-id")[:MAX_COMPONENT_MESSAGES]:
        component_messages.setdefault(message.component_build_id, []).append(message)
    waits = build.waits.select_related("component_build").order_by("id") if build.state in ACTIVE else ()
    return BuildDetails(
        build,
        traces=list(build.state_trace.order_by("id")),
        components=components,
        waits=list(waits[:MAX_WAITS]),
        messages=list(build.log_messages.order_by("-id")[:MAX_MESSAGES]),
        siblings=list(_siblings(build)),
        component_messages=component_messages,
    )


def _siblings(build: ModuleBuild) -> QuerySet[ModuleBuild]:
    """Return the builds of the same submission with other contexts."""
    same = ModuleBuild.objects.filter(
        name=build.name, stream=build.stream, version=build.version, scratch=build.scratch
    )
    return same.exclude(pk=build.pk).only(*LIST_COLUMNS).order_by("id")[:MAX_SIBLINGS]


def document(build: ModuleBuild) -> tuple[str, dict[str, int]]:
    """Return a final document of a finished build, and the sizes of the RPMs of all its architectures."""
    documents = FinalModulemd.objects.filter(module_build=build).exclude(arch="src").order_by("arch")
    text = documents.values_list("document", flat=True).first() or ""
    sizes: dict[str, int] = {}
    for each in documents.values_list("sizes", flat=True):
        sizes |= each or {}
    return text, sizes
