"""Describe how a command ended."""

from __future__ import annotations

import signal


def ending(code: int) -> str:
    """Return a text about the end of a command.

    Args:
        code: Its exit code; a signal is a negative number (``subprocess``) or 128 plus its number (shells
            and the sandbox).
    """
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"ended with code {code}"
    memory = ": the machine may be short of memory" if number == signal.SIGKILL else ""
    return f"was killed by {name}{memory}"
