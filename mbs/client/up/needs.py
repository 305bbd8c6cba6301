"""Check what the standalone service needs on this machine."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from buildsys.local.check import check
from mbs.errors import MBSError


class Missing(MBSError):
    """Required software is not installed."""

    code = "machine_not_ready"


def check_installed(extra: str = "server") -> None:
    """Check that the libraries of the service are installed, and not only those of the client.

    Args:
        extra: The extra of the package that the error names; it installs them.

    Raises:
        Missing: packages of the extra are missing.
    """
    lacking = [name for name in ("django", "rest_framework", "celery", "uvicorn") if find_spec(name) is None]
    if lacking:
        raise Missing(
            f"Only the client is installed; the service also needs {', '.join(lacking)}.",
            hint=f"Run in the checkout of the service: pip install '.[{extra}]'",
        )


def find_redis() -> Path:
    """Return the path of the Redis or Valkey server.

    Raises:
        Missing: None is installed.
    """
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise Missing(
            "No Redis server is installed.",
            hint=f"Install one as root: `{install_command('redis-server', 'valkey')}`.",
        )
    return Path(program)


def check_machine(system: str, folder: Path) -> None:
    """Check that this machine can run builds of the build system.

    Args:
        system: The configured build system; only the local one builds on this machine.
        folder: The data folder.

    Raises:
        Missing: Something is missing. The error lists everything, and how to install it.
    """
    problems = check(folder) if system == "local" else []
    if problems:
        raise Missing(
            "This machine cannot build packages yet.",
            hint="\n  ".join(dict.fromkeys(problem.hint for problem in problems)),
            problems=[replace(problem, hint="") for problem in problems],
        )


def install_command(debian: str, fedora: str) -> str:
    """Return the command that installs a package on this machine."""
    if shutil.which("apt-get"):
        return f"apt-get install --yes {debian}"
    return f"dnf install --assumeyes {fedora}"
