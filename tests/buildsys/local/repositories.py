"""Repositories of streams, and dnf as their user."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from buildsys.local.streams import PlatformFolder, StreamFolder

WITH_DNF = pytest.mark.skipif(not shutil.which("dnf"), reason="dnf is not here")


def repository(root: Path, name: str = "tiny", stream: str = "1", platform: str = "el9") -> PlatformFolder:
    """The folder of a stream's builds for a platform."""
    return StreamFolder(root, name, stream).platform(platform)


def names(folder: Path) -> list[str]:
    """Return the file names of the RPMs in a folder."""
    return sorted(path.name for path in folder.glob("*.rpm"))


def dnf(root: Path, repos: Path, hosts: Sequence[Path], *command: str) -> str:
    """Run dnf on a root of its own with the repositories of some ``.repo`` files."""
    become_root = () if os.geteuid() == 0 else ("unshare", "--map-root-user")
    done = subprocess.run(
        [
            *(*become_root, "dnf", "--assumeyes", "--nogpgcheck", f"--installroot={root}", "--releasever=0"),
            *("--setopt=plugins=0", f"--setopt=reposdir={repos}"),
            "--setopt=module_platform_id=platform:el9",
            *(f"--repofrompath=host-{number},{host.as_uri()}" for number, host in enumerate(hosts)),
            *("--refresh", *command),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
