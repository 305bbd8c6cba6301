"""Compute the positions of a plot of durations and failures, which templates draw as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from builds.models import ModuleBuild
from builds.web.time_format import duration
from mbs.states import BuildState

#: Size of the drawing, in SVG units.
WIDTH, HEIGHT = 600.0, 100.0
#: Number of builds in each point of the curve of failures.
WINDOW = 10
#: Min height of a bar, so that it can be seen and clicked.
LEAST = 2.0


@dataclass(frozen=True)
class Column:
    """The bar of one build.

    Attributes:
        x: Left edge; ``y``, ``width`` and ``height`` are texts for SVG too.
        kind: The state, which determines the color.
        build_id: Id of the build.
        text: Description of the build.
    """

    x: str
    y: str
    width: str
    height: str
    kind: str
    build_id: int
    text: str


@dataclass(frozen=True)
class Plot:
    """Builds in the order of their ids.

    Attributes:
        columns: A bar for each build; its height is the duration.
        longest: Duration of the highest bar.
        middle: Median duration of successful builds; empty if there are none.
        curve: Points of the share of failures among ``WINDOW`` builds, for ``<polyline>``.
        failed: Number of builds that failed.
        total: Number of builds.
        share: Share of failed builds in per cent.
    """

    columns: Sequence[Column]
    longest: str
    middle: str
    curve: str
    failed: int
    total: int
    share: int
    width: float = WIDTH
    height: float = HEIGHT


def plot(builds: Sequence[ModuleBuild]) -> Plot | None:
    """Return the drawing of builds that ended, or None when there are none."""
    if not builds:
        return None
    lengths = [_length(build) for build in builds]
    longest = max(*lengths, timedelta(seconds=1))
    step = WIDTH / len(builds)
    columns = [
        _column(build, length, number * step, step, length / longest)
        for number, (build, length) in enumerate(zip(builds, lengths, strict=True))
    ]
    failures = [build.state == BuildState.FAILED for build in builds]
    good = sorted(length for length, failed in zip(lengths, failures, strict=True) if not failed)
    return Plot(
        columns=columns,
        longest=duration(longest),
        middle=duration(good[(len(good) - 1) // 2]) if good else "",
        curve=_curve(failures, step),
        failed=sum(failures),
        total=len(failures),
        share=round(100 * sum(failures) / len(failures)),
    )


def _length(build: ModuleBuild) -> timedelta:
    return max((build.time_completed or build.time_modified) - build.time_submitted, timedelta())


def _column(build: ModuleBuild, length: timedelta, x: float, step: float, share: float) -> Column:
    height = max(share * HEIGHT, LEAST)
    return Column(
        x=f"{x + step * 0.1:.2f}",
        y=f"{HEIGHT - height:.2f}",
        width=f"{min(step * 0.8, 40.0):.2f}",
        height=f"{height:.2f}",
        kind=build.state_name,
        build_id=build.pk,
        text=f"build {build.pk}: {build.state_name} after {duration(length)}",
    )


def _curve(failures: Sequence[bool], step: float) -> str:
    points = []
    for number in range(len(failures)):
        window = failures[max(0, number + 1 - WINDOW) : number + 1]
        share = sum(window) / len(window)
        points.append(f"{(number + 0.5) * step:.1f},{HEIGHT - share * (HEIGHT - 2) - 1:.1f}")
    return " ".join(points)
