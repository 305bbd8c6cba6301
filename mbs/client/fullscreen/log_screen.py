"""The screen with the log of a component, which follows new lines."""

from __future__ import annotations

import threading
from itertools import islice

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, RichLog, Static

from mbs.client.fullscreen.dialogs import Help
from mbs.client.logs import Reader
from mbs.client.rest import Client
from mbs.errors import MBSError
from mbs.text import printable

#: Lines that are read of the existing log, and max lines on the screen.
LAST_LINES, MAX_LINES = 2000, 20_000
#: Lines that reach the screen at once, and max characters of each.
_AT_ONCE, _MAX_CHARACTERS = 500, 2000


class LogScreen(Screen[None]):
    """The log of a component: its last lines, and new ones as they are written.

    Args:
        client: Client of the server.
        build_id: Id of the build.
        package: Name of the component.
        interval: Seconds between two reads.
    """

    BINDINGS = [
        Binding("f", "follow", "follow on/off"),
        Binding("home", "go(False)", "begin", priority=True),
        Binding("end", "go(True)", "end", priority=True),
        Binding("escape,backspace", "back", "back", key_display="Esc"),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "app.stop", "quit"),
    ]

    class News(Message):
        """New lines, or a new state of the log."""

        def __init__(self, lines: list[str], state: str) -> None:
            super().__init__()
            self.lines = lines
            self.state = state

    def __init__(self, client: Client, build_id: int, package: str, interval: float) -> None:
        super().__init__()
        self._reader = Reader(client, build_id, package, lines=LAST_LINES)
        self._interval = interval
        self._left = threading.Event()
        self._state = "reading ..."
        self.following = True

    def compose(self) -> ComposeResult:
        """Create the widgets."""
        yield Static(
            Text(f"Log of {printable(self._reader.package)}, build {self._reader.build_id}"), id="title"
        )
        yield RichLog(max_lines=MAX_LINES, wrap=True, min_width=0, markup=False, highlight=False)
        yield Static(id="status")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start to read the log."""
        self.query_one(RichLog).focus()
        self._show_state()
        # A daemon: a user who quits does not wait for a server that does not answer.
        threading.Thread(target=self._read, daemon=True).start()

    def on_unmount(self) -> None:
        """Stop reading the log."""
        self._left.set()

    def _read(self) -> None:
        """Read the log to its end, and post its lines."""
        while not self._left.is_set():
            try:
                news = self._reader.news()
                while lines := list(islice(news, _AT_ONCE)):
                    self.post_message(self.News(lines, "reading ..."))
                    if self._left.is_set():
                        return
                state = "complete" if self._reader.over else "being written"
            except MBSError as error:
                state = error.message + ("" if self._reader.over else " Retrying.")
            except (
                TypeError,
                ValueError,
                RuntimeError,
            ) as error:  # an answer of another form; a closed client
                state = f"The log cannot be read: {error!r}."
            self.post_message(self.News([], state))
            if self._reader.over:
                return
            self._left.wait(self._interval)

    @on(News)
    def _add(self, event: News) -> None:
        log = self.query_one(RichLog)
        for line in event.lines:
            text = Text.from_ansi(line[:_MAX_CHARACTERS].expandtabs())
            log.write(text, scroll_end=self.following)
        self._state = event.state
        self._show_state()

    def _show_state(self) -> None:
        following = " · follows new lines" if self.following else " · does not follow new lines"
        text = Text(printable(self._state) + ("" if self._reader.over else following))
        text.pad_right(max(self.app.size.width - text.cell_len, 0))
        self.query_one("#status", Static).update(text)

    def action_follow(self) -> None:
        """Follow new lines, or stop."""
        self.following = not self.following
        if self.following:
            self.query_one(RichLog).scroll_end(animate=False)
        self._show_state()

    def action_go(self, end: bool) -> None:
        """Go to the end and follow it, or to the beginning of the lines that were read."""
        log = self.query_one(RichLog)
        self.following = end
        if end:
            log.scroll_end(animate=False)
        else:
            log.scroll_home(animate=False)
        self._show_state()

    def action_back(self) -> None:
        """Return to the previous screen."""
        self.dismiss(None)

    def action_help(self) -> None:
        """List the keys."""
        self.app.push_screen(Help())
