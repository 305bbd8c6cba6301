"""Dialogs: confirm an action, and list the keys."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static

KEYS = (
    ("arrows, PgUp/PgDn", "move"),
    ("Enter", "components of the build, or log of the component"),
    ("l", "log of the component that failed, builds or is chosen"),
    ("c", "cancel the build, after a confirmation"),
    ("r", "retry the failed build, after a confirmation"),
    ("/", "show lines with all of these words; Esc: all lines"),
    ("s", "next order"),
    ("f", "in a log: follow new lines, or stop"),
    ("Esc", "back"),
    ("?", "this help"),
    ("q", "quit; the builds continue"),
)


class Confirm(ModalScreen[bool]):
    """Asks whether to carry out an action; only ``y`` does.

    Args:
        question: The question.
    """

    BINDINGS = [("y", "answer(True)", "yes"), ("n,escape,q,enter", "answer(False)", "no")]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Create the dialog."""
        yield Static(Text(f"{self._question}\n\ny: yes    n: no"), classes="dialog")

    def action_answer(self, answer: bool) -> None:
        """Close the dialog with this answer."""
        self.dismiss(answer)


class Help(ModalScreen[None]):
    """Lists the keys."""

    BINDINGS = [("escape,q,enter,question_mark", "close", "close")]

    def compose(self) -> ComposeResult:
        """Create the dialog."""
        lines = [f"{key:<18} {meaning}" for key, meaning in KEYS]
        yield Static(Text("\n".join([*lines, "", "Esc: close"])), classes="dialog")

    def action_close(self) -> None:
        """Close the dialog."""
        self.dismiss(None)
