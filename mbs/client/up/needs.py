"""What the standalone service needs of the machine, and how to get it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from buildsys.local.check import check
from mbs.errors import MBSError


class Missing(MBSError):
    """Something that must be installed is not."""

    code = "machine_not_ready"


def find_redis() -> Path:
    """Return the program of the Redis server that is installed here; Valkey is one too.

    Raises:
        Missing: when there is none.
    """
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise Missing(
            "There is no Redis server.",
            hint=f"Install one as root: `{install_command('redis-server', 'valkey')}`.",
        )
    return Path(program)


def check_machine(system: str, folder: Path) -> None:
    """Check that this machine can do what the build system will ask of it.

    Args:
        system: The configured build system; only the local one builds on this machine.
        folder: The data folder, below which builds will lie.

    Raises:
        Missing: With all that is missing, and how to get it.
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
