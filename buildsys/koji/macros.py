"""Make the source RPM of module-build-macros, which Koji builds from an upload.

See docs/contract/koji.md, "What a module build leaves in Koji", point 2.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from buildsys.base import BuildSystemError, BuildSystemUnavailable
from buildsys.local.sandbox import BoundedLog, Limits, Sandbox, Stopped

#: Such a package has a few KiB. A spec file can run code, so time and access to files are limited.
_LIMITS = Limits(seconds=120, log_bytes=1 << 20, file_bytes=16 << 20, free_bytes=32 << 20)
_MAX_SRPM = 16 << 20
#: Exit code of a sandbox that could not start.
_NEVER_STARTED = 125
#: ``$1`` is the name of the spec file.
_SCRIPT = """
mkdir srpms
exec rpmbuild -bs --nodeps --target noarch --define "_topdir /builddir/build" \\
    --define "_sourcedir /input" --define "_srcrpmdir /builddir/srpms" -- "/input/$1"
"""


def make_srpm(package: str, text: str) -> tuple[str, bytes]:
    """Return file name and content of the source RPM for a spec file without sources.

    rpm expands the spec file in the sandbox of local builds, without access to the service's files, its
    credentials and the network.

    Args:
        text: Text of the spec file.

    Raises:
        BuildSystemError: ``srpm_failed``: rpmbuild refuses the spec file.
        BuildSystemUnavailable: ``rpmbuild_missing``: this machine has no rpmbuild. ``sandbox_failed``: it
            cannot make a sandbox. ``srpm_stopped``: it is overloaded.
    """
    if shutil.which("rpmbuild") is None:
        raise BuildSystemUnavailable(
            "rpmbuild is missing, which makes the source RPM of module-build-macros.",
            code="rpmbuild_missing",
            hint="Install rpm-build (Fedora) or rpm (Debian) where the workers run.",
        )
    with tempfile.TemporaryDirectory(prefix="mbs-macros-") as name:
        place = Path(name)
        source = place / "input"
        source.mkdir()
        source.chmod(0o755)
        spec = source / f"{package}.spec"
        spec.write_text(text, encoding="utf-8")
        spec.chmod(0o644)
        sandbox = Sandbox(place / "work", place / "root", readonly={"/input": source}, limits=_LIMITS)
        sandbox.prepare()
        _run(sandbox, spec.name, place / "log")
        return _result(sandbox.work / "srpms", package)


def _run(sandbox: Sandbox, spec: str, log_file: Path) -> None:
    with BoundedLog(log_file, _LIMITS.log_bytes) as log:
        try:
            code = sandbox.run(["/bin/sh", "-e", "-c", _SCRIPT, "rpmbuild", spec], log)
            output = " ".join(line.strip() for line in log.recent() if line.strip())[-500:]
        except Stopped as reason:
            # The spec file contains nothing of the author, so the machine is overloaded or its disk is full.
            raise BuildSystemUnavailable(
                f"The source RPM of module-build-macros was not made: {reason}",
                code="srpm_stopped",
                hint="Check the load of the worker's machine and the space in its temporary folder.",
            ) from reason
    if code == _NEVER_STARTED and "sandbox:" in output:
        raise BuildSystemUnavailable(
            f"The source RPM of module-build-macros cannot be made: {output}",
            code="sandbox_failed",
            hint="Workers need a sandbox for it. Allow user namespaces (sysctl "
            "user.max_user_namespaces=10000), or run them as root; in a container, start it privileged.",
        )
    if code:
        raise _refused(output or f"it ended with code {code}")


def _result(folder: Path, package: str) -> tuple[str, bytes]:
    """Return the only source RPM in a folder with untrusted content."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise _refused(f"it left no results: {error.strerror}") from error
    try:
        made = [name for name in os.listdir(descriptor) if name.endswith(".src.rpm")]
        if len(made) != 1 or not made[0].startswith(f"{package}-"):
            raise _refused(f"it made {len(made)} source RPMs")
        # Opening a pipe would block otherwise.
        file = os.open(made[0], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
        with os.fdopen(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise _refused("the result is not a file")
            content = opened.read(_MAX_SRPM + 1)
    except OSError as error:
        raise _refused(f"the result cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if len(content) > _MAX_SRPM:
        raise _refused(f"it is larger than {_MAX_SRPM} bytes")
    return made[0], content


def _refused(why: str) -> BuildSystemError:
    return BuildSystemError(
        f"rpmbuild made no source RPM of module-build-macros: {why}",
        code="srpm_failed",
        hint="Check the names of the module and the RPMs that the macros package conflicts with.",
    )
