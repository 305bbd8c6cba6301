"""Tell the person at the terminal that builds have ended: by the desktop, or by the terminal's bell."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from typing import TextIO

from mbs.client.snapshot import Build

#: The program of the desktop (freedesktop.org, "Desktop Notifications Specification").
_PROGRAM = "notify-send"
_SECONDS = 5
_LONGEST = 200


def notify(builds: Sequence[Build], stream: TextIO) -> None:
    """Tell that builds are over.

    Args:
        builds: all of them.
        stream: of the terminal, whose bell rings where there is no desktop.
    """
    failed = [build for build in builds if not build.succeeded]
    title = "A module build failed" if failed else "Module builds are ready"
    lines = [f"{build.id} {build.nsvc} {build.state.word}" for build in failed or builds]
    if not _on_desktop(title, "\n".join(lines)[:_LONGEST], urgent=bool(failed)):
        stream.write("\a")
        stream.flush()


def _on_desktop(title: str, text: str, *, urgent: bool) -> bool:
    """Show a notification; say whether there is a desktop that took it."""
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
