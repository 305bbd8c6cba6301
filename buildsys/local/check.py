"""Check what this machine lacks before it can build."""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from buildsys.base import BuildSystemError
from buildsys.local.sandbox import BoundedLog, Limits, Sandbox
from mbs.errors import Problem

#: Command -> Debian's package, Fedora's package.
_TOOLS = {
    "rpmbuild": ("rpm", "rpm-build"),
    "rpm2archive": ("rpm", "rpm"),
    "createrepo_c": ("createrepo-c", "createrepo_c"),
    "modifyrepo_c": ("createrepo-c", "createrepo_c"),
    "git": ("git", "git-core"),
    "tar": ("tar", "tar"),
    "gcc": ("gcc", "gcc"),
    "make": ("make", "make"),
}
_NAMESPACES = (
    "Builds run in namespaces of the kernel (Linux 5.12 or newer). Allow unprivileged user namespaces "
    "(sysctl user.max_user_namespaces=10000, and kernel.unprivileged_userns_clone=1 or "
    "kernel.apparmor_restrict_unprivileged_userns=0 where there is such a setting), or run as root; in a "
    "container, start it privileged."
)


def check(folder: Path | None = None, limits: Limits | None = None) -> list[Problem]:
    """Return the programs and settings that this machine lacks; an empty list if it can build.

    Args:
        folder: The folder for builds, because some file systems cannot be part of an overlay.
        limits: Limits of builds.

    Returns:
        A problem for each missing command, all with the same hint, and one with the kernel's message if the
            sandbox does not work.
    """
    lacking = [tool for tool in _TOOLS if not shutil.which(tool)]
    install = install_command(lacking)
    problems = [
        Problem("command_missing", f"The command {tool} is not installed.", hint=f"Run as root: {install}")
        for tool in lacking
    ]
    try:
        failure = _try_sandbox(folder, limits or Limits())
    except BuildSystemError as error:
        return [*problems, Problem(error.code, str(error), hint=error.hint)]
    if failure:
        problems.append(
            Problem("sandbox_failed", f"The sandbox of builds does not work: {failure}", hint=_NAMESPACES)
        )
    return problems


def install_command(tools: list[str]) -> str:
    """Return the command that installs the packages of these commands."""
    debian = shutil.which("apt-get") is not None
    packages = sorted({_TOOLS[tool][0 if debian else 1] for tool in tools})
    return " ".join(("apt-get install --yes" if debian else "dnf install --assumeyes", *packages))


def _try_sandbox(folder: Path | None, limits: Limits) -> str:
    """Run a command in a sandbox with a small view; return what went wrong, or an empty text."""
    with tempfile.TemporaryDirectory(prefix=".check-", dir=folder) as name:
        base = Path(name)
        (base / "view" / "usr" / "share" / "mbs-check").mkdir(parents=True)
        (base / "view" / "etc").mkdir()
        limits = replace(limits, seconds=20)
        sandbox = Sandbox(base / "work", base / "root", view=base / "view", limits=limits)
        sandbox.prepare()
        with BoundedLog(base / "log", 4096) as log:
            code = sandbox.run(["test", "-d", "/usr/share/mbs-check"], log)
            return "" if code == 0 else " ".join(log.recent()).strip() or "packages are not visible in it."


def main() -> int:
    """Print what is missing and return 1 in that case, for programs that must not import the build system."""
    problems = check(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    for hint, group in groupby(problems, key=lambda problem: problem.hint):
        print(*(problem.message for problem in group), hint, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
