"""Spans of time as bars on a common axis: places and widths in per cent, which SVG takes as attributes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from builds.models import ComponentBuild, ModuleBuild, ModuleBuildTrace
from builds.web.time_format import duration
from mbs.states import ACTIVE, BuildState, ComponentState

#: per cent; a shorter bar could not be seen
LEAST = 0.4
#: parts of the axis, with a line between each two
PARTS = 4


@dataclass(frozen=True)
class Bar:
    """One bar.

    :param x: where it begins, and ``width``: in per cent of the axis, as texts.
    :param kind: the state, by which it has its colour.
    :param took: how long it took, or takes by now.
    """

    x: str
    width: str
    kind: str
    took: str


@dataclass(frozen=True)
class Axis:
    """The time of a build from its submission to its end, or to now while it goes on."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, build: ModuleBuild, components: Sequence[ComponentBuild], now: datetime) -> Axis:
        """The axis on which everything that happened to a build has its place."""
        if build.state in ACTIVE:
            return cls(build.time_submitted, now)
        ends = [build.time_completed or build.time_modified]
        ends += [component.time_completed for component in components if component.time_completed]
        return cls(build.time_submitted, max(ends))

    @property
    def length(self) -> timedelta:
        return max(self.end - self.start, timedelta(seconds=0.1))

    def marks(self) -> list[str]:
        """What stands along the axis: times since its start."""
        return [took(self.length * part / PARTS) for part in range(PARTS + 1)]

    def bar(self, start: datetime, end: datetime, kind: str) -> Bar:
        """A bar; what lies beyond the axis is cut off."""
        low, high = (min(max((time - self.start) / self.length, 0.0), 1.0) for time in (start, end))
        width = max((high - low) * 100, LEAST)
        return Bar(f"{min(low * 100, 100 - width):.2f}", f"{width:.2f}", kind, took(end - start))

    def component(self, component: ComponentBuild) -> Bar | None:
        """When a component was built, if it was or is; a reused one was built long ago."""
        if component.time_started is None or component.reused_component_id is not None:
            return None
        end = component.time_completed if component.settled else self.end
        return self.bar(component.time_started, end or self.end, (component.state_name or "").lower())


@dataclass(frozen=True)
class Step:
    """A state that a build was in, and how long; the last one lasts."""

    state: str
    time: datetime
    reason: str
    bar: Bar
    last: bool


def steps(traces: Sequence[ModuleBuildTrace], axis: Axis, shown: str = "") -> Iterator[Step]:
    """The states of a build along the axis.

    Args:
        traces: its changes of state, the first one first.
        axis: of the build.
        shown: name of its present state for people, where that is not the state's own.
    """
    for place, trace in enumerate(traces):
        last = place == len(traces) - 1
        end = axis.end if last else traces[place + 1].time
        word = (shown if last else "") or BuildState(trace.state).word
        yield Step(word, trace.time, trace.state_reason or "", axis.bar(trace.time, end, word), last)


def took(length: timedelta) -> str:
    """A duration; a short one to tenths of a second."""
    seconds = max(0.0, length.total_seconds())
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(length)


def state_word(component: ComponentBuild) -> str:
    """The state of a component in lower case; one that has not started is waiting."""
    return "waiting" if component.state is None else ComponentState(component.state).name.lower()
