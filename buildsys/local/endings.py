"""How a command ended, for people."""

from __future__ import annotations

import signal


def ending(code: int) -> str:
    """Return how a command ended.

    Args:
        code: Its exit code; the negative number of a signal as ``subprocess`` has it, or 128 and
            the number as shells and the sandbox have it.
    """
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"ended with code {code}"
    memory = ": the machine may be short of memory" if number == signal.SIGKILL else ""
    return f"was killed by {name}{memory}"
