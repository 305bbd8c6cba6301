"""Bars on a time axis. Positions and widths are percentages, which SVG takes as attributes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from builds.models import ComponentBuild, ModuleBuild, ModuleBuildTrace
from builds.web.time_format import duration
from mbs.states import ACTIVE, BuildState, ComponentState

#: Minimum width of a bar in per cent, so that it stays visible.
LEAST = 0.4
#: Sections of the axis, with a mark between each two.
PARTS = 4


@dataclass(frozen=True)
class Bar:
    """A bar on the time axis.

    Attributes:
        x: Its start in per cent of the axis.
        width: Its width in per cent of the axis.
        kind: The state that determines its colour.
        took: Its duration, so far or in total.
    """

    x: str
    width: str
    kind: str
    took: str


@dataclass(frozen=True)
class Axis:
    """The time from the submission of a build to its end, or to now while it is active.

    Attributes:
        start: When the build was submitted.
        end: When it ended, or now.
        until: When it is expected to be ready; None if it has ended or there is no prediction.
    """

    start: datetime
    end: datetime
    until: datetime | None = None

    @classmethod
    def of(
        cls,
        build: ModuleBuild,
        components: Sequence[ComponentBuild],
        now: datetime,
        until: datetime | None = None,
    ) -> Axis:
        """Return the axis for a build and its components, up to its expected end while it is active."""
        if build.state in ACTIVE:
            return cls(build.time_submitted, now, until)
        ends = [build.time_completed or build.time_modified]
        ends += [component.time_completed for component in components if component.time_completed]
        return cls(build.time_submitted, max(ends))

    @property
    def length(self) -> timedelta:
        """Return the duration of the axis, at least a tenth of a second."""
        return max(max(self.end, self.until or self.end) - self.start, timedelta(seconds=0.1))

    def marks(self) -> list[str]:
        """Return the labels of the axis: durations since its start."""
        return ["0 s", *(took(self.length * part / PARTS) for part in range(1, PARTS + 1))]

    def bar(self, start: datetime, end: datetime, kind: str) -> Bar:
        """Return a bar, cut off at the ends of the axis."""
        low, high = (min(max((time - self.start) / self.length, 0.0), 1.0) for time in (start, end))
        width = max((high - low) * 100, LEAST)
        return Bar(f"{min(low * 100, 100 - width):.2f}", f"{width:.2f}", kind, took(end - start))

    def component(self, component: ComponentBuild) -> Bar | None:
        """Return the bar of a component, or None if it has not started or is reused."""
        if component.time_started is None or component.reused_component_id is not None:
            return None
        end = component.time_completed if component.settled else self.end
        return self.bar(component.time_started, end or self.end, (component.state_name or "").lower())

    def expected(self, times: tuple[datetime, datetime] | None) -> Bar | None:
        """Return the bar of the expected build of a component; ``took`` is the expected duration."""
        if times is None:
            return None
        start, end = times
        bar = self.bar(max(start, self.end), end, "expected")
        return replace(bar, took=took(end - start))


@dataclass(frozen=True)
class Step:
    """A state of the build, and how long it lasted."""

    state: str
    time: datetime
    reason: str
    bar: Bar
    last: bool


def steps(traces: Sequence[ModuleBuildTrace], axis: Axis, shown: str = "") -> Iterator[Step]:
    """Yield the states of a build in order.

    Args:
        traces: Changes of its state, the first one first.
        axis: Time axis of the build.
        shown: Name to show for the current state; empty for the state's own.
    """
    for place, trace in enumerate(traces):
        last = place == len(traces) - 1
        end = axis.end if last else traces[place + 1].time
        word = (shown if last else "") or BuildState(trace.state).word
        yield Step(word, trace.time, trace.state_reason or "", axis.bar(trace.time, end, word), last)


def took(length: timedelta) -> str:
    """Return a duration. Below ten seconds, it has tenths of a second."""
    seconds = max(0.0, length.total_seconds())
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(length)


def state_word(component: ComponentBuild) -> str:
    """Return the state of a component in lower case; "waiting" if it has not started."""
    return "waiting" if component.state is None else ComponentState(component.state).name.lower()
