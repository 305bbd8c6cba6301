"""Create a base module for this machine, for a service that has no base module."""

from __future__ import annotations

import platform as machine
import re
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click

from mbs.errors import Unprocessable
from mbs.modulemd import StreamV2, dump
from mbs.modulemd.documents import Profile
from mbs.names import STREAM
from mbs.states import BuildState

NAME = "platform"
#: The file below the data folder in which the document is kept.
FILE = "platform.yaml"
#: What is in every buildroot; local builds see the packages of the machine itself.
_BUILDROOT = ["bash", "coreutils", "gcc", "make", "rpm-build"]
_SRPM_BUILDROOT = ["bash", "rpm-build"]


@dataclass(frozen=True)
class HostPlatform:
    """The base module of this machine.

    Attributes:
        stream: Platform id without its name (``el9`` of ``platform:el9``), or ID and VERSION_ID of the
            system.
        system: Name of the system.
    """

    stream: str
    system: str

    @property
    def document(self) -> str:
        """Return its modulemd document."""
        document = StreamV2(
            name=NAME,
            stream=self.stream,
            version=1,
            context="00000000",
            summary=f"The packages of {self.system}",
            description=f"Represents the packages of the machine that the service runs on, {self.system}.",
            module_licenses=["MIT"],
            profiles={"buildroot": Profile(_BUILDROOT), "srpm-buildroot": Profile(_SRPM_BUILDROOT)},
            xmd={"mbs": {"mse": "true"}},
        )
        return dump(document)

    def write(self, folder: Path) -> Path:
        """Write the document into a folder; return the file."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / FILE
        path.write_text(self.document, encoding="utf-8")
        return path


def host_platform(release: Mapping[str, str] | None = None) -> HostPlatform:
    """Return the base module of this machine.

    Args:
        release: Values of ``/etc/os-release`` (os-release(5)); None to read the file.

    Raises:
        Unprocessable: The file does not contain the platform.
    """
    if release is None:
        try:
            release = machine.freedesktop_os_release()
        except OSError:
            release = {}
    stream = release.get("PLATFORM_ID", "").removeprefix(f"{NAME}:")
    if not stream and release.get("ID"):
        stream = re.sub(r"[^A-Za-z0-9._]", "_", release["ID"] + release.get("VERSION_ID", ""))
    if not STREAM.fits(stream) or "-" in stream:
        raise Unprocessable(
            "The platform of this machine is unknown: /etc/os-release has neither PLATFORM_ID nor ID.",
            code="unknown_platform",
            hint="Write a document for one and record it: `mbs import platform.yaml`.",
        )
    return HostPlatform(stream, release.get("PRETTY_NAME") or stream)


def offered(data: Path, wanted: bool | None, *, database: Path) -> Path | None:
    """Return the document of this machine's base module, if it is to be recorded.

    On a terminal, the user is asked if the service has no base module; an option answers in advance.

    Args:
        data: The data folder.
        wanted: Value of the option; None if it was not given.
        database: File of the service's database.
    """
    if wanted is None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or has_base_module(database):
            return None
        found = host_platform()
        wanted = click.confirm(
            "The service has no base module, which every module is built on.\n"
            f"Record {NAME}:{found.stream} for this machine ({found.system})?",
            default=True,
        )
    return host_platform().write(data) if wanted else None


def has_base_module(database: Path) -> bool:
    """Return whether a service has a base module, by its SQLite database; True where that is not known."""
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as rows:
            query = "SELECT 1 FROM builds_modulebuild WHERE name = ? AND state = ? LIMIT 1"
            return rows.execute(query, (NAME, int(BuildState.READY))).fetchone() is not None
    except sqlite3.Error:
        return True
