"""List the components of a build in groups by state or by batch, each with the reason why it was built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from builds.models import ComponentBuild, LogMessage
from builds.selectors import pages
from builds.selectors.forecasts import Forecast
from builds.web.time_format import Moment
from builds.web.timeline import Axis, Bar, state_word
from mbs.reuse import brief
from mbs.states import ComponentState

#: Max components to show of each group, and of a group that is shown alone or of all batches together.
MAX_SHOWN, MAX_OF_ONE = 200, 3000
ALL, BATCHES = "all", "batches"
#: Groups by state, the most relevant first.
GROUPS: Mapping[str, frozenset[int | None]] = {
    "failed": frozenset({ComponentState.FAILED, ComponentState.CANCELED}),
    "building": frozenset({ComponentState.BUILDING}),
    "waiting": frozenset({None}),
    "done": frozenset({ComponentState.COMPLETE, ComponentState.DELETED}),
}
CHOICES = (ALL, *GROUPS, BATCHES)


@dataclass(frozen=True)
class Component:
    """A row of the table of components.

    Attributes:
        why: Why the component was built and not reused; empty if there is no reason.
        messages: Its log messages, newest first, each with its time.
    """

    row: ComponentBuild
    state: str
    bar: Bar | None
    expected: Bar | None
    why: str
    messages: Sequence[tuple[LogMessage, Moment]]


@dataclass(frozen=True)
class Group:
    """Components under one heading.

    Attributes:
        name: The heading.
        components: The components that are shown.
        more: Number of components that are not shown.
        key: Value of ``?components=`` that shows only this group; empty if there is no such page.
    """

    name: str
    components: Sequence[Component]
    more: int = 0
    key: str = ""


@dataclass(frozen=True)
class Choice:
    """A link that shows one of the groups, or all."""

    name: str
    count: int | None
    current: bool


def shown(details: pages.BuildDetails, asked: str) -> str:
    """Return the group to show: the requested one, otherwise the default for the state of the build."""
    if asked in CHOICES:
        return asked
    return ALL if sum(bool(count) for count in _counts(details.components).values()) > 1 else BATCHES


def choices(details: pages.BuildDetails, current: str) -> list[Choice]:
    """Return the links to the groups that have components."""
    counts = _counts(details.components)
    links = [Choice(name, count, name == current) for name, count in counts.items() if count]
    if not links:
        return []
    return [
        Choice(ALL, len(details.components), current == ALL),
        *links,
        Choice("by buildafter" if details.build.graph else "by batch", None, current == BATCHES),
    ]


def groups(
    details: pages.BuildDetails, axis: Axis, current: str, now: datetime, forecast: Forecast
) -> Iterator[Group]:
    """Yield the groups of components to show."""
    if current == BATCHES:
        key = (lambda row: 0) if details.build.graph else (lambda row: row.batch)
        left = MAX_OF_ONE
        for number, members in groupby(details.components, key=key):
            name = f"Batch {number}" if number else "Components, each after those it waits for"
            group = _group(name, list(members), details, axis, now, forecast, left)
            left -= len(group.components)
            yield group
        return
    for name, states in GROUPS.items():
        rows = [row for row in details.components if row.state in states]
        if rows and current in (name, ALL):
            most = MAX_OF_ONE if current == name else MAX_SHOWN
            yield _group(f"{name.capitalize()} ({len(rows)})", rows, details, axis, now, forecast, most, name)


def _group(
    name: str,
    rows: Sequence[ComponentBuild],
    details: pages.BuildDetails,
    axis: Axis,
    now: datetime,
    forecast: Forecast,
    most: int,
    key: str = "",
) -> Group:
    components = [
        Component(
            row,
            state_word(row),
            axis.component(row),
            axis.expected(_expected(row, forecast)),
            "" if row.reused_component_id else brief(row.reuse_code, row.reuse_detail),
            [
                (message, Moment(message.time_created, now))
                for message in details.component_messages.get(row.pk, ())
            ],
        )
        for row in rows[:most]
    ]
    return Group(name, components, len(rows) - len(components), key)


def _expected(row: ComponentBuild, forecast: Forecast) -> tuple[datetime, datetime] | None:
    """Return when a component is expected to start (or has started), and when to end."""
    times = forecast.components.get(row.pk)
    return (row.time_started or times[0], times[1]) if times else None


def _counts(rows: Iterable[ComponentBuild]) -> dict[str, int]:
    states = [row.state for row in rows]
    return {name: sum(state in wanted for state in states) for name, wanted in GROUPS.items()}
