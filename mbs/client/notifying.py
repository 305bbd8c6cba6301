"""Notify the user that builds have ended: on the desktop, otherwise by the terminal's bell."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from typing import TextIO

from mbs.client.snapshot import Build

#: The program of the desktop (freedesktop.org, "Desktop Notifications Specification").
_PROGRAM = "notify-send"
_SECONDS = 5
_MAX_TEXT = 200


def notify(builds: Sequence[Build], stream: TextIO) -> None:
    """Notify the user that builds have ended.

    Args:
        builds: All watched builds.
        stream: The terminal's output, for the bell if there is no desktop.
    """
    failed = [build for build in builds if not build.succeeded]
    title = "A module build failed" if failed else "Module builds are ready"
    lines = [f"{build.id} {build.nsvc} {build.state.word}" for build in failed or builds]
    if not _on_desktop(title, "\n".join(lines)[:_MAX_TEXT], urgent=bool(failed)):
        stream.write("\a")
        stream.flush()


def _on_desktop(title: str, text: str, *, urgent: bool) -> bool:
    """Show a notification; return whether a desktop accepted it."""
    program = shutil.which(_PROGRAM)
    if program is None:
        return False
    level = "critical" if urgent else "normal"
    command = [program, "--app-name=mbs", f"--urgency={level}", "--", title, text]
    try:
        done = subprocess.run(command, timeout=_SECONDS, capture_output=True, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
