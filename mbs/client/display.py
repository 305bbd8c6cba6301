"""Display builds: as progress bars on a terminal, otherwise as one line per change."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.table import Table
from rich.text import Text

from mbs.client.snapshot import Build, Component, Outlook, duration
from mbs.client.watching import Snapshot
from mbs.states import BuildState, ComponentState

#: In larger batches, only building and failed components are listed.
LISTED = 12
#: Maximum progress of an unfinished component.
NEARLY = 0.95

STATE_STYLES = {
    BuildState.READY: "bold green",
    BuildState.DONE: "green",
    BuildState.FAILED: "bold red",
    BuildState.GARBAGE: "dim",
}


def follow(snapshots: Iterable[Snapshot], stream: TextIO, *, animated: bool = True) -> Snapshot:
    """Display all snapshots, and return the last one.

    Args:
        animated: Whether to show progress bars if the stream is a terminal.
    """
    moving = animated and stream.isatty() and os.environ.get("TERM") != "dumb"
    last = None
    for snapshot in _bars(snapshots, stream) if moving else _lines(snapshots, stream):
        last = snapshot
    if last is None:
        raise ValueError("there was nothing to show")
    return last


def _bars(snapshots: Iterable[Snapshot], stream: TextIO) -> Iterable[Snapshot]:
    latest = Snapshot(())
    # Redraw between snapshots too, since durations change.
    with Live(
        get_renderable=lambda: render(latest, datetime.now(UTC)),
        console=Console(file=stream, highlight=False),
        refresh_per_second=4,
    ) as live:
        for latest in snapshots:
            live.refresh()
            yield latest


def _lines(snapshots: Iterable[Snapshot], stream: TextIO) -> Iterable[Snapshot]:
    last: dict[str, str] = {}
    outlooks: dict[int, Outlook] = {}
    for snapshot in snapshots:
        if not snapshot.outage and last.pop("outage", ""):
            print("The server is available again.", file=stream, flush=True)
        for key, line in describe(snapshot, datetime.now(UTC)).items():
            if last.get(key) != line:
                print(line, file=stream, flush=True)
            last[key] = line
        for build in snapshot.builds:
            if build.outlook and not build.ended and _is_news(build.outlook, outlooks.get(build.id)):
                outlooks[build.id] = build.outlook
                print(f"{build.id} {build.nsvc} {build.outlook}", file=stream, flush=True)
        yield snapshot


def _is_news(outlook: Outlook, last: Outlook | None) -> bool:
    """Return whether a prediction gets a new line: its place changed, or its time by more than a minute."""
    if last is None or outlook.place != last.place:
        return True
    return abs((outlook.ready - last.ready).total_seconds()) > max(last.spread, 60.0)


def describe(snapshot: Snapshot, now: datetime) -> dict[str, str]:
    """Return a line for each build, component and wait. A line is printed when it has changed."""
    lines = {}
    if snapshot.outage:
        lines["outage"] = f"{snapshot.outage} Retrying."
    for build in snapshot.builds:
        who = f"{build.id} {build.nsvc}"
        # Components first, so that the failed component is above the failed build.
        for component in build.components:
            if component.state is not None:
                lines[f"component {component.id}"] = f"{who} {_component_line(component, now)}"
            elif component.waiting_for:
                lines[f"component {component.id}"] = f"{who} {component.waiting_for}"
        if blocking_wait(build):
            lines[f"waits {build.id}"] = f"{who} {build.waiting_for}"
        lines[f"build {build.id}"] = f"{who} {_build_line(build, now)}"
    return lines


def blocking_wait(build: Build) -> str:
    """Return the wait of a build; empty if it waits for components that build, which are displayed anyway."""
    building = any(component.state == ComponentState.BUILDING for component in build.components)
    return "" if building or build.ended else build.waiting_for


def _build_line(build: Build, now: datetime) -> str:
    parts = [build.word]
    if build.state == BuildState.BUILD and build.batch:
        parts.append(f"batch {build.batch} of {max(build.batches(), default=build.batch)}")
    if build.ended:
        parts.append(f"after {duration(build.seconds(now))}")
    line = ", ".join(parts)
    if build.state == BuildState.FAILED:
        line += f": {build.reason}" + (f" ({build.hint})" if build.hint else "")
    return line


def _component_line(component: Component, now: datetime) -> str:
    seconds = component.seconds(now)
    parts = [f"{component.package}: {state_word(component)}"]
    if component.finished:
        if component.nvr:
            parts.append(component.nvr)
        if component.failed and component.reason:
            parts.append(f"({component.reason})")
        if seconds is not None:
            parts.append(f"in {duration(seconds)}")
    if component.url:
        parts.append(component.url)
    return " ".join(parts)


def render(snapshot: Snapshot, now: datetime) -> RenderableType:
    """Return the progress bars of all builds in a snapshot."""
    parts: list[RenderableType] = []
    for build in snapshot.builds:
        parts += [_heading(build, now), _table(build, now)]
    if snapshot.outage:
        parts.append(Text(f"{snapshot.outage} Retrying.", style="yellow"))
    return Group(*parts)


def _heading(build: Build, now: datetime) -> Text:
    text = Text.assemble(
        (str(build.nsvc), "bold"),
        f"  #{build.id}  ",
        (build.word, "bold yellow" if build.word == "canceled" else STATE_STYLES.get(build.state, "cyan")),
        f"  {duration(build.seconds(now))}",
    )
    if build.state == BuildState.FAILED:
        text.append(f"\n  {build.reason}", "red")
        if build.hint:
            text.append(f"\n  {build.hint}")
    elif blocking_wait(build):
        text.append(f"\n  {build.waiting_for}", "dim")
    if build.outlook and not build.ended:
        text.append(f"\n  {build.outlook}", "dim")
    return text


def _table(build: Build, now: datetime) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    for justify in ("left", "left", "left", "right"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_column(no_wrap=True, ratio=1)  # takes the remaining width
    for number, components in build.batches().items():
        finished = sum(component.finished for component in components)
        failed = any(component.failed for component in components)
        table.add_row(
            f"  batch {number}" if number else "  not in a batch yet",
            _bar(finished / len(components), failed),
            f"{finished} of {len(components)}",
            "",
            "",
        )
        for component in components:
            if len(components) <= LISTED or component.failed or component.state == ComponentState.BUILDING:
                table.add_row(*_component_row(component, now))
    return table


def _component_row(component: Component, now: datetime) -> tuple[RenderableType, ...]:
    seconds = component.seconds(now)
    note = Text(component.nvr, style=Style(link=component.url or None))
    if component.state is None:
        note = Text(component.waiting_for, style="dim")
    if component.failed:
        note = Text(component.reason or component.nvr, style="red")
    if component.url and (component.failed or component.state == ComponentState.BUILDING):
        note = Text.assemble(note, "  " if note else "", (component.url, Style(dim=True, link=component.url)))
    return (
        Text(f"    {component.package}"),
        _bar(progress(component, now), component.failed),
        Text(state_word(component), style=_component_style(component)),
        "" if seconds is None else duration(seconds),
        note,
    )


def progress(component: Component, now: datetime) -> float:
    """Return the progress of a component from 0 to 1: its duration divided by the expected one."""
    if component.finished:
        return 1.0
    seconds = component.seconds(now)
    if component.state is None or seconds is None:
        return 0.0
    # With an unknown duration, a minute is half of the bar.
    return min(NEARLY, seconds / component.weight if component.weight else seconds / (seconds + 60))


def _bar(share: float, failed: bool) -> ProgressBar:
    return ProgressBar(
        total=1.0,
        completed=share,
        width=20,
        complete_style="red" if failed else "cyan",
        finished_style="red" if failed else "green",
    )


def _component_style(component: Component) -> str:
    if component.failed:
        return "red"
    return "green" if component.finished else "cyan"


def state_word(component: Component) -> str:
    """Return the state in lower case, "reused" for a reused component, or "waiting" before the start."""
    if component.state is None:
        return "waiting"
    if component.reused and component.state == ComponentState.COMPLETE:
        return "reused"
    return component.state.name.lower()
