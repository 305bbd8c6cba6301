"""The module builds in the database, as input of stream expansion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from django.db.models import F, Q, QuerySet, Window
from django.db.models.functions import Length, Rank

from builds.models import ModuleBuild
from mbs.expansion import Available, NameStream
from mbs.states import BuildState

_COLUMNS = (
    "name",
    "stream",
    "version",
    "context",
    "state",
    "requires",
    "buildrequires",
    "koji_tag",
    "commit",
    "disttag_marking",
)


@dataclass(frozen=True, eq=False)
class StoredBuild(Available):
    """A module build of the database, with its primary key."""

    pk: int = 0


class DatabaseUniverse:
    """The module builds of the database; see ``mbs.expansion.Universe``.

    Each method runs one query, ``base_modules`` two.
    """

    def base_modules(self, names: Collection[str]) -> Sequence[Available]:
        """Return the newest build of each stream of these base modules, preferring ready ones to garbage."""
        builds = _builds().filter(name__in=names, state__in=(BuildState.READY, BuildState.GARBAGE))
        newest: dict[NameStream, ModuleBuild] = {}
        for build in builds:
            known = newest.get((build.name, build.stream))
            if known is None or _precedence(build) > _precedence(known):
                newest[build.name, build.stream] = build
        virtual = _virtual_streams(build.pk for build in newest.values())
        return [_as_available(build, virtual[build.pk]) for build in newest.values()]

    def streams(self, names: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return the streams of these modules that have ready builds."""
        found: dict[str, list[str]] = defaultdict(list)
        rows = ModuleBuild.objects.filter(name__in=names, state=BuildState.READY, scratch=False)
        for name, stream in rows.order_by("stream").values_list("name", "stream").distinct():
            found[name].append(stream)
        return found

    def candidates(
        self, wanted: Collection[NameStream], bases: Collection[NameStream]
    ) -> Sequence[Available]:
        """Return the newest ready builds of these streams that were built against these base modules."""
        names, streams = {name for name, _ in wanted}, {stream for _, stream in wanted}
        made = _builds().filter(
            _any_of("required_modules", bases), state=BuildState.READY, name__in=names, stream__in=streams
        )
        newest = made.annotate(
            rank=Window(
                Rank(),
                partition_by=["name", "stream", "required_modules__name", "required_modules__stream"],
                order_by=[Length("version").desc(), F("version").desc()],
            )
        ).filter(rank=1)
        unique = {build.pk: build for build in newest if (build.name, build.stream) in wanted}
        return [_as_available(build) for build in unique.values()]


def _builds() -> QuerySet[ModuleBuild]:
    return ModuleBuild.objects.filter(scratch=False).only(*_COLUMNS).order_by("pk")


def _any_of(relation: str, pairs: Iterable[NameStream]) -> Q:
    """Return the condition that name and stream of a relation are one of these pairs, grouped by name."""
    streams: dict[str, list[str]] = defaultdict(list)
    for name, stream in pairs:
        streams[name].append(stream)
    conditions = [
        Q(**{f"{relation}__name": name, f"{relation}__stream__in": of_name})
        for name, of_name in streams.items()
    ]
    return reduce(or_, conditions)


def _precedence(build: ModuleBuild) -> tuple[bool, int]:
    return build.state == BuildState.READY, int(build.version)


def _virtual_streams(pks: Iterable[int]) -> Mapping[int, Sequence[str]]:
    """Return the virtual streams of base modules by their primary keys."""
    found: dict[int, list[str]] = defaultdict(list)
    through = ModuleBuild.virtual_streams.through.objects.filter(modulebuild__in=list(pks))
    for pk, name in through.values_list("modulebuild_id", "virtualstream__name").order_by(
        "virtualstream__name"
    ):
        found[pk].append(name)
    return found


def _as_available(build: ModuleBuild, virtual_streams: Sequence[str] = ()) -> StoredBuild:
    return StoredBuild(
        name=build.name,
        stream=build.stream,
        version=int(build.version),
        context=build.context,
        requires=tuple(build.requires),
        built_against={name: info["stream"] for name, info in build.buildrequires.items()},
        virtual_streams=tuple(virtual_streams),
        koji_tag=build.koji_tag or "",
        ref=build.commit,
        retired=build.state == BuildState.GARBAGE,
        disttag_marking=build.disttag_marking,
        pk=build.pk,
    )
