"""The screens with lists: builds, and the components of one build."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Static

from mbs.client.fullscreen import rows
from mbs.client.fullscreen.dialogs import Help
from mbs.client.fullscreen.rows import Column, Row
from mbs.client.snapshot import Build, Component
from mbs.states import ComponentState

if TYPE_CHECKING:
    from mbs.client.fullscreen.app import Watch


#: Max lines of a list: each second, all of them are compared with those on the screen.
MAX_LINES = 2000


class Listing(Screen[None]):
    """A list with a filter and an order; subclasses provide its columns and lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "log", "log"),
        Binding("c", "cancel", "cancel"),
        Binding("r", "retry", "retry"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("s", "sort", "sort"),
        Binding("escape", "back", "back", show=False),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "app.stop", "quit"),
    ]
    #: Names of the orders; the first is used at the start.
    orders: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        self.order = self.orders[0]
        self._columns: list[Column] = []
        self._shown: dict[str, tuple[Text, ...]] = {}
        # Kept here, since timers and messages still arrive while a screen is being removed.
        self.table: DataTable[Text] = DataTable(cursor_type="row", cell_padding=0)
        self._title, self._details, self._status = (
            Static(id=name) for name in ("title", "details", "status")
        )
        self._field = Input(placeholder="words that the lines must contain", id="filter", compact=True)

    @property
    def watch_app(self) -> Watch:
        """The application."""
        return cast("Watch", self.app)

    def compose(self) -> ComposeResult:
        """Create the widgets."""
        yield from (self._title, self.table, self._details, self._field, self._status)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Fill the list, and count seconds."""
        self._field.display = False
        self.set_focus(self.table)
        self.show()
        self.set_interval(1.0, self.show)

    def on_screen_resume(self) -> None:
        """Show the present state after another screen was closed."""
        self.show()

    def on_resize(self) -> None:
        """Fit the columns to the new width."""
        self._columns = []
        self.show()

    # -- methods of subclasses. Textual's metaclass cannot be combined with that of abc.ABC. ----------------

    def columns(self, width: int) -> list[Column]:
        """Return the columns for a width of the terminal."""
        raise NotImplementedError

    def lines(self, columns: Sequence[Column], now: datetime) -> Iterable[Row]:
        """Return all lines in the chosen order."""
        raise NotImplementedError

    def title_text(self, now: datetime) -> Text:
        """Return the text above the list."""
        raise NotImplementedError

    def details(self, now: datetime) -> Text:
        """Return the text about the line with the cursor."""
        raise NotImplementedError

    def chosen_build(self) -> Build | None:
        """Return the build that actions concern."""
        raise NotImplementedError

    def chosen_component(self) -> tuple[int, Component] | None:
        """Return the component whose log the key for logs opens, with the id of its build."""
        raise NotImplementedError

    # -- showing -------------------------------------------------------------------------------------------

    @property
    def cursor(self) -> str:
        """The key of the line with the cursor, or empty."""
        table = self.table
        return list(self._shown)[table.cursor_row] if 0 <= table.cursor_row < len(self._shown) else ""

    @property
    def _visible(self) -> bool:
        """Whether the list is on the screen; while the view is closed, its widgets no longer exist."""
        return self.app.screen_stack[-1:] == [self] and self.table.is_attached

    def show(self) -> None:
        """Show the present state."""
        if not self._visible:
            return
        now = datetime.now(UTC)
        fresh = not self._columns
        if fresh:
            self._columns = self.columns(self.app.size.width)
        words = self.words.lower().split()
        all_lines = list(self.lines(self._columns, now))
        found = [row for row in all_lines if all(word in row.text for word in words)]
        self._fill({row.key: row.cells for row in found[:MAX_LINES]}, fresh)
        self._title.update(self.title_text(now))
        self._details.update(self.details(now))
        status = self._status_text(len(found), len(all_lines))
        status.pad_right(max(self.app.size.width - status.cell_len, 0))
        self._status.update(status)

    def _fill(self, wanted: dict[str, tuple[Text, ...]], fresh: bool) -> None:
        table = self.table
        if fresh or list(wanted) != list(self._shown):
            cursor, top = self.cursor, table.scroll_y
            table.clear(columns=fresh)
            if fresh:
                for column in self._columns:
                    table.add_column(
                        column.fitted(Text(column.title)), width=column.width + 1, key=column.title
                    )
            for key, cells in wanted.items():
                table.add_row(*map(Column.fitted, self._columns, cells), key=key)
            if cursor in wanted:
                table.move_cursor(row=list(wanted).index(cursor), scroll=False)
                table.scroll_to(y=top, animate=False)
        else:
            for key, cells in wanted.items():
                for column, cell, before in zip(self._columns, cells, self._shown[key], strict=True):
                    if cell != before or cell.style != before.style:
                        table.update_cell(key, column.title, column.fitted(cell))
        self._shown = wanted

    def _status_text(self, shown: int, total: int) -> Text:
        board = self.watch_app.board
        if board.outage:
            return Text(f"Retrying: {board.outage}", "bold yellow")
        parts = [f"{shown} of {total}" if self.words else f"{total}", f"order: {self.order}"]
        if shown > MAX_LINES:
            parts.insert(1, f"first {MAX_LINES}: use a filter")
        if self.words:
            parts.append(f"filter: {self.words}")
        parts.append("live" if board.live else f"read every {board.interval:g} s")
        return Text(" · ".join(parts))

    # -- keys ----------------------------------------------------------------------------------------------

    def action_sort(self) -> None:
        """Choose the next order."""
        self.order = self.orders[(self.orders.index(self.order) + 1) % len(self.orders)]
        self.show()

    def action_filter(self) -> None:
        """Enter words to filter by."""
        self._field.display = True
        # At once, unlike ``Widget.focus``: the next key may have been pressed already.
        self.set_focus(self._field)

    @on(Input.Changed)
    def _filter_changed(self, event: Input.Changed) -> None:
        self.words = event.value
        self.show()

    @on(Input.Submitted)
    def _filter_entered(self) -> None:
        self._leave_filter()

    def _leave_filter(self) -> None:
        self._field.display = False
        self.set_focus(self.table)

    def action_back(self) -> None:
        """Remove the filter; without one, return to the previous screen."""
        if self._field.display or self.words:
            self._field.value = ""
            self._leave_filter()
        else:
            self.leave()

    def leave(self) -> None:
        """Return to the previous screen, if there is one."""

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        if self._shown and self._visible:
            self._details.update(self.details(datetime.now(UTC)))

    def action_help(self) -> None:
        """List the keys."""
        self.app.push_screen(Help())

    def action_log(self) -> None:
        """Open the log of the chosen component."""
        found = self.chosen_component()
        if found is None:
            self.app.notify("No component of this build has a log yet.", markup=False)
        else:
            self.watch_app.open_log(*found)

    def action_cancel(self) -> None:
        """Cancel the chosen build."""
        if build := self.chosen_build():
            self.watch_app.confirm_cancel(build)

    def action_retry(self) -> None:
        """Retry the chosen build."""
        if build := self.chosen_build():
            self.watch_app.confirm_retry(build)


class Builds(Listing):
    """The list of builds."""

    orders = tuple(rows.BUILD_ORDERS)

    def columns(self, width: int) -> list[Column]:
        """Return the columns for a width of the terminal."""
        return rows.build_columns(width)

    def lines(self, columns: Sequence[Column], now: datetime) -> Iterable[Row]:
        """Return all lines in the chosen order."""
        found = sorted(self.watch_app.board.builds.values(), key=rows.BUILD_ORDERS[self.order])
        return [rows.build_row(build, columns, now) for build in found]

    def title_text(self, now: datetime) -> Text:
        """Return the server's address, and the number of active builds."""
        board = self.watch_app.board
        active = sum(not build.ended for build in board.builds.values())
        return Text(f"Module builds on {board.client.server}: {active} active")

    def details(self, now: datetime) -> Text:
        """Return the text about the build with the cursor."""
        build = self.chosen_build()
        return rows.build_details(build, now) if build else Text("No builds.")

    def chosen_build(self) -> Build | None:
        """Return the build with the cursor."""
        return self.watch_app.board.builds.get(int(self.cursor)) if self.cursor else None

    def chosen_component(self) -> tuple[int, Component] | None:
        """Return None: the log of a build is chosen among its components."""
        return None

    def action_log(self) -> None:
        """Open the log of the build's failed or building component."""
        if build := self.chosen_build():
            self.watch_app.open_log_of_build(build.id)

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        if build := self.chosen_build():
            self.watch_app.open_build(build.id)


class Components(Listing):
    """The components of one build.

    Args:
        build_id: Id of the build.
    """

    orders = tuple(rows.COMPONENT_ORDERS)

    def __init__(self, build_id: int) -> None:
        super().__init__()
        self.build_id = build_id

    def columns(self, width: int) -> list[Column]:
        """Return the columns for a width of the terminal."""
        return rows.component_columns(width)

    def lines(self, columns: Sequence[Column], now: datetime) -> Iterable[Row]:
        """Return all lines in the chosen order."""
        build = self.chosen_build()
        found = sorted(build.components if build else (), key=rows.COMPONENT_ORDERS[self.order])
        return [rows.component_row(component, columns, now) for component in found]

    def title_text(self, now: datetime) -> Text:
        """Return the name, times, reason and prediction of the build."""
        build = self.chosen_build()
        return rows.build_details(build, now) if build else Text(f"#{self.build_id}")

    def details(self, now: datetime) -> Text:
        """Return the text about the component with the cursor."""
        component = self._component()
        return rows.component_details(component, now) if component else Text("No components yet.")

    def chosen_build(self) -> Build | None:
        """Return the build whose components are shown."""
        return self.watch_app.board.builds.get(self.build_id)

    def _component(self) -> Component | None:
        build, key = self.chosen_build(), self.cursor
        return next((each for each in build.components if str(each.id) == key), None) if build else None

    def chosen_component(self) -> tuple[int, Component] | None:
        """Return the component with the cursor."""
        component = self._component()
        return (self.build_id, component) if component else None

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_log()

    def leave(self) -> None:
        """Return to the list of builds."""
        self.watch_app.close_build()


def most_interesting(build: Build) -> Component | None:
    """Return the component whose log explains most: failed, otherwise building, otherwise the last one."""
    started = [each for each in build.components if each.state is not None]
    for matches in (lambda each: each.failed, lambda each: each.state == ComponentState.BUILDING):
        if found := next(filter(matches, started), None):
            return found
    return started[-1] if started else None
