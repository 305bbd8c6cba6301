"""Query the history of one stream of a module, and the modules that are built against it.

The number of rows that are read is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from builds.models import BuildRequirement, ModuleBuild
from mbs.nsvc import PARTS
from mbs.states import BuildState

#: Max builds whose durations and failures are shown.
MAX_ENDED = 60
#: Max ready builds whose requirers are read, and max links to read for each.
MAX_REQUIRED, MAX_LINKS = 4, 100
#: Max requirers to return.
MAX_REQUIRERS = 40
#: States that show whether a build succeeded. Retired builds may have failed before.
_ENDED = (BuildState.DONE, BuildState.READY, BuildState.FAILED)
_SHOWN = (
    *("id", *PARTS, "state", "state_reason", "error_hint", "scratch"),
    *("time_submitted", "time_modified", "time_completed"),
)


@dataclass(frozen=True)
class Requirer:
    """A stream whose builds require another stream, the one of the page, in their buildroots.

    Attributes:
        build_id: Id of the newest such build.
    """

    name: str
    stream: str
    build_id: int
    state: int

    @property
    def state_name(self) -> str:
        """Return the name of the state of that build."""
        return BuildState(self.state).word


@dataclass(frozen=True)
class History:
    """The history of a stream.

    Attributes:
        ready: The newest ready build.
        failed: The newest failed build.
        ended: The newest builds that ended, the oldest of them first.
        requirers: Streams with one of the newest ready builds in their buildroots, by name.
    """

    ready: ModuleBuild | None
    failed: ModuleBuild | None
    ended: Sequence[ModuleBuild]
    requirers: Sequence[Requirer]


def builds_of(name: str, stream: str) -> QuerySet[ModuleBuild]:
    """Return the builds of a stream."""
    return ModuleBuild.objects.filter(name=name, stream=stream)


def history(name: str, stream: str) -> History:
    """Return the history of a stream, in 3 statements and one for each of the newest ready builds."""
    rows = builds_of(name, stream).only(*_SHOWN).order_by("-id")
    ready = list(rows.filter(state=BuildState.READY)[:MAX_REQUIRED])
    return History(
        ready=ready[0] if ready else None,
        failed=rows.filter(state=BuildState.FAILED).first(),
        ended=list(rows.filter(state__in=_ENDED)[:MAX_ENDED])[::-1],
        requirers=_requirers([build.pk for build in ready]),
    )


def names_of(name: str) -> list[str]:
    """Return the streams of a module that its newest 1000 builds have, the latest first."""
    streams = ModuleBuild.objects.filter(name=name).order_by("-id").values_list("stream", flat=True)
    return list(dict.fromkeys(streams[:1000]))


def _requirers(required: Sequence[int]) -> list[Requirer]:
    columns = [f"module_build__{name}" for name in ("name", "stream", "id", "state")]
    found: dict[tuple[str, str], Requirer] = {}
    for number in required:
        # One statement for each build: a common one would read all links before ordering them.
        links = BuildRequirement.objects.filter(required_id=number).order_by("-module_build_id")
        for row in links.values_list(*columns)[:MAX_LINKS]:
            requirer = Requirer(*row)
            earlier = found.get((requirer.name, requirer.stream))
            if earlier is None or earlier.build_id < requirer.build_id:
                found[requirer.name, requirer.stream] = requirer
    newest = sorted(found.values(), key=lambda each: -each.build_id)[:MAX_REQUIRERS]
    return sorted(newest, key=lambda each: (each.name, each.stream))
