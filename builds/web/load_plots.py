"""Compute the positions of the plots of the last day, which a template draws as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from builds.selectors.overview import Hour

#: Size of a drawing, in SVG units.
WIDTH, HEIGHT = 480.0, 90.0
#: Points of a curve: a point is the highest sample in this time.
STEP = timedelta(minutes=15)
#: Samples that are further apart are not connected: the service did not run.
GAP = timedelta(minutes=45)
#: Width of an hour, and of the pair of bars in it.
_HOUR = WIDTH / 24
_BAR = _HOUR * 0.4

Sample = tuple[datetime, float]


@dataclass(frozen=True)
class Bar:
    """A bar, or a part of a stacked one.

    Attributes:
        kind: Class of the rectangle, which determines its color.
        x: Left edge; all positions are texts for SVG.
    """

    kind: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class HourBars:
    """The bars of an hour, with a text that describes them."""

    text: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class HourPlot:
    """Builds in each hour.

    Attributes:
        most: Number of builds of the highest bar.
    """

    hours: Sequence[HourBars]
    most: int
    width: float = WIDTH
    height: float = HEIGHT


@dataclass(frozen=True)
class Curve:
    """A curve of samples.

    Attributes:
        lines: Points of its connected parts, for ``<polyline>``.
        most: The highest sample.
        last: The latest sample.
    """

    lines: Sequence[str]
    most: float
    last: float
    width: float = WIDTH
    height: float = HEIGHT


def hour_plot(hours: Sequence[Hour]) -> HourPlot | None:
    """Return the drawing of builds per hour; None if there are none."""
    most = max((max(hour.submitted, _ended(hour)) for hour in hours), default=0)
    if not most:
        return None
    return HourPlot([_bars(hour, place * _HOUR, most) for place, hour in enumerate(hours)], most)


def curve(samples: Sequence[Sample], now: datetime, top: float = 0.0) -> Curve | None:
    """Return the drawing of samples of the last day; None if there are none.

    Args:
        samples: Pairs of a time and a number, in the order of time.
        now: Right edge.
        top: The number at the upper edge, by default the highest sample.
    """
    if not samples:
        return None
    most = max(number for _, number in samples)
    scale = (HEIGHT - 2) / max(top, most, 1.0)
    begin = now - timedelta(days=1)
    points: dict[int, Sample] = {}
    for time, number in samples:
        place = (time - begin) // STEP
        if place not in points or number > points[place][1]:
            points[place] = time, number
    parts: list[list[str]] = []
    before: datetime | None = None
    for time, number in points.values():
        x = WIDTH * ((time - begin) / timedelta(days=1))
        if before is None or time - before > GAP:
            parts.append([f"{max(0.0, x - 1):.1f},{HEIGHT - 1 - number * scale:.1f}"])
        parts[-1].append(f"{x:.1f},{HEIGHT - 1 - number * scale:.1f}")
        before = time
    return Curve([" ".join(part) for part in parts], most, samples[-1][1])


def _ended(hour: Hour) -> int:
    return hour.ready + hour.failed + hour.canceled


def _bars(hour: Hour, x: float, most: int) -> HourBars:
    left, bars = x + (_HOUR - 2 * _BAR) / 2, []
    if hour.submitted:
        bars.append(_bar("submitted", left, 0, hour.submitted, most))
    below = 0
    for kind, count in (("ready", hour.ready), ("failed", hour.failed), ("canceled", hour.canceled)):
        if count:
            bars.append(_bar(kind, left + _BAR, below, count, most))
            below += count
    text = (
        f"{hour.begin:%H:%M} UTC: {hour.submitted} submitted, {hour.ready} ready, {hour.failed} failed, "
        f"{hour.canceled} canceled"
    )
    return HourBars(text, bars)


def _bar(kind: str, x: float, below: int, count: int, most: int) -> Bar:
    height = HEIGHT * count / most
    y = HEIGHT * (1 - below / most) - height
    return Bar(kind, f"{x:.2f}", f"{y:.2f}", f"{_BAR:.2f}", f"{height:.2f}")
