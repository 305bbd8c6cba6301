"""The application: it shows the builds of a board, and carries out actions on them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from textual import on
from textual.app import App
from textual.binding import Binding
from textual.message import Message

from mbs.client import notifying
from mbs.client.board import Board
from mbs.client.fullscreen.dialogs import Confirm
from mbs.client.fullscreen.lists import Builds, Components, Listing, most_interesting
from mbs.client.fullscreen.log_screen import LogScreen
from mbs.client.options import INTERRUPTED, SUCCESS
from mbs.client.rest import Json
from mbs.client.snapshot import Build, Component, read_build
from mbs.errors import MBSError
from mbs.states import BuildState
from mbs.text import printable


class Watch(App[int]):
    """The full-screen view. Its result is an exit code.

    With chosen builds, it ends when all of them have ended, unless the user looks at something else.

    Args:
        board: The builds, which were read once.
        notifies: Whether to notify the user of ended builds, if all builds are shown.
    """

    ENABLE_COMMAND_PALETTE = False
    # The terminal's own colors: text is readable on any background. The cursor does not depend on colors.
    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    #title { height: auto; max-height: 4; text-style: bold; }
    #details { height: 5; border-top: solid ansi_default; }
    #status { height: 1; text-style: reverse; }
    #filter { height: 1; border: none; padding: 0; background: ansi_default; color: ansi_default; }
    DataTable, RichLog { height: 1fr; background: ansi_default; color: ansi_default; scrollbar-size: 1 1;
        overflow-x: hidden; }
    DataTable > .datatable--header, DataTable:ansi > .datatable--header { text-style: bold underline;
        background: ansi_default; color: ansi_default; }
    DataTable > .datatable--cursor, DataTable:focus > .datatable--cursor { text-style: reverse bold;
        background: ansi_default; color: ansi_default; }
    Confirm, Help { align: center middle; background: transparent; }
    .dialog { width: auto; max-width: 78; height: auto; max-height: 22; padding: 0 1;
        border: round ansi_default; background: ansi_default; color: ansi_default; }
    Footer, FooterKey { background: ansi_default; }
    """
    BINDINGS = [Binding("ctrl+c", "stop", "quit", show=False, priority=True)]

    class Changed(Message):
        """The builds were read again."""

    class Answered(Message):
        """An action has ended."""

        def __init__(self, text: str, failed: bool) -> None:
            super().__init__()
            self.text = text
            self.failed = failed

    def __init__(self, board: Board, *, notifies: bool = False) -> None:
        # Only with the terminal's own colors does NO_COLOR remove them.
        super().__init__(ansi_color=True)
        self.board = board
        self.theme = "ansi-dark"
        self._notifies = notifies
        self._active = {build.id for build in board.builds.values() if not build.ended}
        self._start: Listing = Builds()

    def on_mount(self) -> None:
        """Show the list, or the components of the only chosen build."""
        self.push_screen(self._start)
        if len(self.board.ids) == 1:
            self._start = self._components(self.board.ids[0])
            self.push_screen(self._start)
        self.board.start(lambda: self.post_message(self.Changed()))

    def on_unmount(self) -> None:
        """Stop reading the builds."""
        self.board.stop()

    @on(Changed)
    def _changed(self) -> None:
        if not self.screen_stack:
            return  # the view is being closed
        if isinstance(self.screen, Listing):
            self.screen.show()
        ended = [build for number in self._active if (build := self.board.builds.get(number)) and build.ended]
        self._active = {build.id for build in self.board.builds.values() if not build.ended}
        if ended and self._notifies and not self.board.ids:
            self._in_background(lambda: notifying.notify(ended, sys.__stderr__ or sys.stderr))
        if self.board.ids and self.board.ended and self.screen is self._start:
            self.exit(SUCCESS)

    def action_stop(self) -> None:
        """Quit. Chosen builds that have not ended have no result yet."""
        self.exit(INTERRUPTED if self.board.ids and not self.board.ended else SUCCESS)

    # -- screens -------------------------------------------------------------------------------------------

    def _components(self, build_id: int) -> Components:
        self.board.open(build_id)
        return Components(build_id)

    def open_build(self, build_id: int) -> None:
        """Show the components of a build."""
        self.push_screen(self._components(build_id))

    def close_build(self) -> None:
        """Return to the list of builds."""
        self.board.open(None)
        self.pop_screen()

    def open_log(self, build_id: int, component: Component) -> None:
        """Show the log of a component."""
        self.push_screen(LogScreen(self.board.client, build_id, component.package, self.board.interval))

    def open_log_of_build(self, build_id: int) -> None:
        """Show the log of the component that explains the state of a build best."""

        def find() -> None:
            build = read_build(self.board.client.build(build_id), self.board.client.components(build_id))
            component = most_interesting(build)
            if component is None:
                self.post_message(self.Answered("No component of this build has a log yet.", False))
            else:
                self.call_from_thread(self.open_log, build_id, component)

        self._in_background(find)

    # -- actions -------------------------------------------------------------------------------------------

    def confirm_cancel(self, build: Build) -> None:
        """Cancel a build after a confirmation."""
        if build.ended:
            self.notify(f"Build {build.id} has ended: it cannot be canceled.", markup=False)
            return
        self._confirm("Cancel", build, self.board.client.cancel)

    def confirm_retry(self, build: Build) -> None:
        """Retry a build after a confirmation."""
        if build.state != BuildState.FAILED:
            self.notify(f"Build {build.id} has not failed: it cannot be retried.", markup=False)
            return
        self._confirm("Retry", build, self.board.client.retry)

    def _confirm(self, word: str, build: Build, act: Callable[[int], Json]) -> None:
        def work() -> None:
            done = read_build(act(build.id))
            self.board.refresh()
            self.post_message(self.Answered(f"Build {done.id} is now {done.word}.", False))

        def decided(yes: bool | None) -> None:
            if yes:
                self._in_background(work)

        self.push_screen(Confirm(f"{word} build {build.id}, {build.nsvc}?"), decided)

    def _in_background(self, work: Callable[[], None]) -> None:
        def carry_out() -> None:
            try:
                work()
            except MBSError as error:
                text = " ".join(filter(None, (error.message, error.hint)))
                self.post_message(self.Answered(printable(text), True))

        # A daemon: a user who quits does not wait for a server that does not answer.
        threading.Thread(target=carry_out, daemon=True).start()

    @on(Answered)
    def _answered(self, event: Answered) -> None:
        self.notify(event.text, severity="error" if event.failed else "information", markup=False)
