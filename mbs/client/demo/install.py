"""List the finished module with dnf, and install it into a scratch root."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mbs.errors import MBSError

#: File in the folder of a finished module with two command lines: one lists, the other installs the module.
COMMANDS_FILE = "dnf.txt"
INSTALLROOT = "--installroot="


class DnfFailed(MBSError):
    """dnf could not list or install the module."""

    code = "dnf_failed"


@dataclass(frozen=True)
class Module:
    """A finished module of the local build system.

    Attributes:
        repository: Its dnf repository.
        listing: The command line that lists it.
        install: The command line that installs it into ``root``.
    """

    repository: Path
    listing: tuple[str, ...]
    install: tuple[str, ...]
    root: Path


def finished_module(data: Path, tag: str, root: Path) -> Module | None:
    """Return the module in the service's data folder, or None if another build system built it.

    Args:
        tag: Its Koji tag, which is the name of its folder.
        root: Folder to install into.
    """
    folder = data / "local" / "modules" / tag
    if not (folder / COMMANDS_FILE).is_file():
        return None
    lines = (folder / COMMANDS_FILE).read_text().splitlines()
    listing, install = (_with_root(shlex.split(line), root) for line in lines[:2])
    return Module(folder / "repo", listing, install, root)


def _with_root(command: Sequence[str], root: Path) -> tuple[str, ...]:
    """Return the command line with this root, run as root or in a user namespace."""
    words = [f"{INSTALLROOT}{root}" if word.startswith(INSTALLROOT) else word for word in command]
    become_root = () if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user")
    return (*become_root, *words)


def has_dnf() -> bool:
    """Return whether dnf is installed."""
    return shutil.which("dnf") is not None


def run(command: Sequence[str], root: Path) -> str:
    """Run a dnf command line on an empty root, and return its output.

    Raises:
        DnfFailed: The command failed. The error contains its output.
    """
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        raise DnfFailed(f"{shlex.join(command)} ended with exit code {done.returncode}:\n{done.stdout}")
    return done.stdout.strip()


def installed_files(root: Path) -> list[str]:
    """Return the files that packages installed into a root, without those of dnf and rpm."""
    own = ("etc/dnf", "var/cache", "var/lib/dnf", "var/lib/rpm", "var/log", "var/tmp", "root", "dev", "run")
    found = []
    for folder, names, files in os.walk(root):
        place = Path(folder).relative_to(root)
        # For users other than root, Debian's rpm keeps its database in the home folder.
        names[:] = [name for name in names if str(place / name) not in own and name != ".rpmdb"]
        found += [f"/{place / name}" for name in files]
    return sorted(found)
