"""The environment of processes that are measured, and their CPU time, read from ``/proc``."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(*roots: int) -> float:
    """Return the CPU time used so far by these processes and their descendants.

    Processes that ended are counted after their parent has waited for them.
    """
    fields = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                # The program's name, in parentheses, may contain spaces; see proc(5).
                fields[int(entry.name)] = (entry / "stat").read_text().rpartition(")")[2].split()
    family, grown = set(roots) & fields.keys(), True
    while grown:
        found = {pid for pid, stat in fields.items() if int(stat[1]) in family} - family
        grown = bool(found)
        family |= found
    # utime, stime, cutime, cstime
    return sum(sum(map(int, fields[pid][11:15])) for pid in family) / _TICKS


def environment(**options: object) -> dict[str, str]:
    """Return the environment of a service with real workers, and with these options."""
    usual = {"MESSAGING": "log", "SWEEP_INTERVAL": 30, "LOST_AFTER": 60, "LOG_LEVEL": "warning"}
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "MBS_CONFIG_FILE": "",
        "MBS_CONFIG_SECTION": "test",
        **{f"MBS_{name}": str(value) for name, value in {**usual, **options}.items()},
    }


def stopwatch(*roots: int) -> Callable[[], float]:
    """Return a function that returns the CPU time used by these processes since this call."""
    before = cpu_seconds(*roots)
    return lambda: cpu_seconds(*roots) - before
