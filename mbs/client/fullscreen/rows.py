"""The columns and lines of the lists: builds, and the components of a build."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rich.text import Text

from mbs.client.display import STATE_STYLES, blocking_wait, progress, state_word
from mbs.client.snapshot import Build, Component, duration, local_time, short_time
from mbs.nsvc import NSVC
from mbs.states import BuildState, ComponentState
from mbs.text import natural

#: Width of a terminal from which owners and bars are shown, and from which names are shown in full.
WIDE, WIDEST = 100, 120
#: Narrowest column with a reason.
_NOTE = 12
_FULL, _EMPTY = "━", "·"


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        title: Its title.
        width: Its width in characters.
        right: Whether its texts are aligned to the right.
    """

    title: str
    width: int
    right: bool = False

    def fitted(self, text: Text) -> Text:
        """Return a text with exactly the column's width, and a gap to the next column."""
        fitted = text.copy()
        fitted.truncate(self.width, overflow="ellipsis")
        missing = self.width - fitted.cell_len
        if self.right:
            fitted.pad_left(missing)
        fitted.pad_right(1 if self.right else missing + 1)
        fitted.no_wrap = True
        return fitted


@dataclass(frozen=True)
class Row:
    """A line of a list.

    Attributes:
        key: Identifies the line.
        cells: Its texts, one for each column.
        text: The text that filters search, in lower case.
    """

    key: str
    cells: tuple[Text, ...]
    text: str


#: Name of an order -> its sort key.
BUILD_ORDERS: dict[str, Callable[[Build], Any]] = {
    "newest": lambda build: -build.id,
    "module": lambda build: (natural(str(build.nsvc)), -build.id),
    "state": lambda build: (build.ended, build.state, -build.id),
    "owner": lambda build: (build.owner, -build.id),
    "next ready": lambda build: (
        build.outlook is None,
        build.outlook.ready.timestamp() if build.outlook else 0,
        -build.id,
    ),
}
COMPONENT_ORDERS: dict[str, Callable[[Component], Any]] = {
    "batch": lambda each: (each.batch, natural(each.package)),
    "state": lambda each: (_urgency(each), each.batch, natural(each.package)),
    "package": lambda each: natural(each.package),
    "longest": lambda each: (
        -((each.completed or each.started) - each.started).total_seconds() if each.started else 0.0
    ),
}


def _urgency(component: Component) -> int:
    """Return the place of a component's state: failed, building, waiting, complete."""
    if component.failed:
        return 0
    if component.state == ComponentState.BUILDING:
        return 1
    return 2 if component.state is None else 3


def build_columns(width: int) -> list[Column]:
    """Return the columns of the list of builds on a terminal of some width."""
    fixed = [Column("ID", 6, right=True), Column("state", 8), Column("done", 14 if width >= WIDE else 7)]
    last = [
        Column("ready", 7),
        Column("age", 7, right=True),
        *([Column("owner", 10)] if width >= WIDE else []),
    ]
    rest = width - sum(column.width + 1 for column in (*fixed, *last)) - 3
    module = min(rest - _NOTE, 40 if width >= WIDEST else 27)
    return [
        fixed[0],
        Column("module", max(module, 10)),
        *fixed[1:],
        *last,
        Column("reason", max(rest - module, _NOTE)),
    ]


def build_row(build: Build, columns: Sequence[Column], now: datetime) -> Row:
    """Return the row of a build in the table of builds."""
    outlook = build.outlook
    ready = "" if outlook is None or build.ended else short_time(outlook.ready, now)
    age = short_age((now - build.submitted).total_seconds()) if build.submitted else ""
    cells = {
        "ID": Text(str(build.id)),
        "module": Text(short_module(build.nsvc, columns[1].width)),
        "state": Text(build.word, state_style(build)),
        "done": done(build, columns[3].width),
        "ready": Text(ready),
        "age": Text(age),
        "owner": Text(build.owner),
    }
    note = Text(build_note(build), "red" if build.state == BuildState.FAILED else "")
    texts = tuple(cells.get(column.title, note) for column in columns)
    return Row(str(build.id), texts, f"{build.id} {build.nsvc} {build.word} {build.owner}".lower())


def state_style(build: Build) -> str:
    """Return the style of a build's state."""
    return "bold yellow" if build.word == "canceled" else STATE_STYLES.get(build.state, "cyan")


def build_note(build: Build) -> str:
    """Return why a build failed, or the thing that it waits for."""
    if build.state == BuildState.FAILED:
        return build.reason
    if build.ended:
        return ""
    return build.waiting_for or (f"batch {build.batch}" if build.batch else "")


def done(build: Build, width: int) -> Text:
    """Return the number of complete components and of all, with a bar if there is room."""
    if not build.total:
        return Text("")
    number = f"{build.complete}/{build.total}"
    room = min(width - len(number) - 1, 8)
    return Text(
        number if room < 4 else f"{number:<{width - room - 1}} {bar(build.complete / build.total, room)}"
    )


def bar(share: float, width: int) -> str:
    """Return a bar that needs no colors."""
    full = min(int(share * width), width)
    return _FULL * full + _EMPTY * (width - full)


def short_module(nsvc: NSVC, width: int) -> str:
    """Return an N:S:V:C cut to a width: first the version is left out, then the end."""
    whole = str(nsvc)
    return whole if len(whole) <= width else short_name(str(replace(nsvc, version="…")), width)


def short_name(text: str, width: int) -> str:
    """Return a text cut to a width at its end."""
    return text if len(text) <= width else f"{text[: max(width - 1, 1)]}…"


def short_age(seconds: float) -> str:
    """Return an age in one unit: ``45 s``, ``3 min``, ``5 h``, ``12 d``."""
    whole = max(int(seconds), 0)
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (48 * 3600, 3600, "h")):
        if whole < limit:
            return f"{whole // unit} {name}"
    return f"{whole // 86400} d"


def build_details(build: Build, now: datetime) -> Text:
    """Return the lines below the list: the whole name, times, reason and prediction of a build."""
    owner = f" by {build.owner}" if build.owner else ""
    times = f"submitted {local_time(build.submitted)}{owner}, " if build.submitted else ""
    text = Text.assemble((str(build.nsvc), "bold"), f"  #{build.id}  ", (build.word, state_style(build)))
    text.append(f"\n{times}{'took' if build.ended else 'since'} {duration(build.seconds(now))}")
    if build.outlook and not build.ended:
        text.append(f"; {build.outlook}")
    note = build.reason if build.state == BuildState.FAILED else blocking_wait(build)
    if note:
        text.append(f"\n{note}", "red" if build.state == BuildState.FAILED else "")
        text.append(f" {build.hint}" if build.hint else "")
    return text


def component_columns(width: int) -> list[Column]:
    """Return the columns of the list of components on a terminal of some width."""
    fixed = [
        Column("state", 9),
        Column("time", 12, right=True),
        *([Column("done", 8)] if width >= WIDE else []),
    ]
    rest = width - sum(column.width + 1 for column in fixed) - 6 - 3
    package = min(max(rest // 3, 16), 34)
    return [
        Column("batch", 5, right=True),
        Column("package", package),
        *fixed,
        Column("note", max(rest - package, _NOTE)),
    ]


def component_row(component: Component, columns: Sequence[Column], now: datetime) -> Row:
    """Return the line of a component."""
    seconds, word = component.seconds(now), state_word(component)
    style = "red" if component.failed else "green" if component.finished else "cyan"
    cells = {
        "batch": Text(str(component.batch or "")),
        "package": Text(short_name(component.package, columns[1].width)),
        "state": Text(word, style),
        "time": Text("" if seconds is None else duration(seconds)),
        "done": Text(bar(progress(component, now), 8)),
    }
    note = Text(component_note(component), "red" if component.failed else "")
    texts = tuple(cells.get(column.title, note) for column in columns)
    return Row(str(component.id), texts, f"{component.batch} {component.package} {word}".lower())


def component_note(component: Component) -> str:
    """Return why a component failed or what it waits for, otherwise its NVR."""
    if component.failed:
        return component.reason
    return component.waiting_for if component.state is None else component.nvr


def component_details(component: Component, now: datetime) -> Text:
    """Return the lines below the list: the whole name, the reason and the page of a component."""
    seconds = component.seconds(now)
    text = Text.assemble((component.package, "bold"), f"  {state_word(component)}")
    if seconds is not None:
        expected = f", expected {duration(component.weight)}" if component.weight else ""
        text.append(f", {duration(seconds)}{expected}")
    if component.started:
        text.append(f", started {local_time(component.started)}")
    for part in (
        component_note(component),
        component.why and f"built because: {component.why}",
        component.url,
    ):
        if part:
            text.append(f"\n{part}")
    return text
