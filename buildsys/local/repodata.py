"""Make yum repositories of untrusted RPMs: run createrepo_c and modifyrepo_c in the sandbox.

Both read the RPMs with librpm, which a damaged header can crash or exploit. They see the RPMs read-only and
write metadata to their work folder. Only regular files with valid names and sizes are taken from there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from buildsys.base import BuildSystemError
from buildsys.local.endings import ending
from buildsys.local.sandbox import BoundedLog, Sandbox, Stopped, remove_tree

#: ``$1`` is the number of RPMs. createrepo_c skips RPMs that it cannot read.
_SCRIPT = """
createrepo_c --quiet --no-database --simple-md-filenames --general-compress-type gz --workers 2 \\
    --outputdir /builddir /input/rpms
if ! zcat repodata/primary.xml.gz | head -c 4096 | grep -q " packages=\\"$1\\""; then
    echo "not every RPM could be read"
    exit 1
fi
if [ -e /input/modules/modules.yaml ]; then
    modifyrepo_c --mdtype=modules /input/modules/modules.yaml repodata
fi
"""
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
#: Together with ``hostpackage`` this is less than the time limit of a workflow step.
_SECONDS, _MEMORY = 90.0, 3 << 30
_MAX_FILES, _MAX_BYTES = 20, 512 << 20


def create_repository(folder: Path, scratch: Path, sandbox: Sandbox, modules: str = "") -> None:
    """Make a yum repository of a folder of RPMs.

    Args:
        folder: A folder that only contains the RPMs.
        scratch: Path of a temporary folder that does not exist yet.
        sandbox: Provides limits and user.
        modules: Modulemd documents for its metadata.

    Raises:
        BuildSystemError: ``repository_failed``, for example because createrepo_c cannot read an RPM.
    """
    try:
        made = _make(folder, scratch, sandbox, modules)
        _take(made / "repodata", folder / "repodata")
    finally:
        remove_tree(scratch)


def check_readable(folder: Path, scratch: Path, sandbox: Sandbox, stop: Callable[[], str] = str) -> None:
    """Check that createrepo_c can read all RPMs of a folder.

    Args:
        scratch: See :func:`create_repository`.
        sandbox: See :func:`create_repository`.
        stop: See ``Sandbox.run``.

    Raises:
        Stopped: ``stop`` returned a reason.
        BuildSystemError: ``repository_failed``.
    """
    try:
        _make(folder, scratch, sandbox, stop=stop)
    finally:
        remove_tree(scratch)


def _make(
    folder: Path, scratch: Path, sandbox: Sandbox, modules: str = "", stop: Callable[[], str] = str
) -> Path:
    """Run the tools and return the folder that contains ``repodata``."""
    documents = scratch / "modules"
    documents.mkdir(parents=True)
    if modules:
        (documents / "modules.yaml").write_text(modules, encoding="utf-8")
    inside = replace(
        sandbox,
        work=scratch / "work",
        mountpoint=scratch / "root",
        view=None,
        readonly={"/input/rpms": folder, "/input/modules": documents},
        limits=replace(sandbox.limits, seconds=_SECONDS, memory_bytes=_MEMORY, log_bytes=1 << 20),
    )
    inside.prepare()
    _run(inside, scratch / "log", sum(1 for _ in folder.glob("*.rpm")), stop)
    return inside.work


def _run(sandbox: Sandbox, log_path: Path, count: int, stop: Callable[[], str]) -> None:
    with BoundedLog(log_path, sandbox.limits.log_bytes) as log:
        try:
            code = sandbox.run(["/bin/sh", "-e", "-c", _SCRIPT, "createrepo", str(count)], log, stop=stop)
        except Stopped as error:
            if stop():
                raise
            raise _failed(str(error)) from None
        if code:
            output = " / ".join(line.strip() for line in log.recent()[-5:] if line.strip())
            raise _failed(f"it {ending(code)}: {output[-500:]}")


def _take(source: Path, target: Path) -> None:
    """Move the metadata to a folder that the sandbox cannot reach."""
    if source.is_symlink() or not source.is_dir():
        raise _failed("it left no metadata")
    target.mkdir()
    size = number = 0
    with os.scandir(source) as entries:
        for entry in entries:
            state = entry.stat(follow_symlinks=False)
            number, size = number + 1, size + state.st_size
            plain = stat.S_ISREG(state.st_mode) and _NAME.fullmatch(entry.name)
            if not plain or number > _MAX_FILES or size > _MAX_BYTES:
                raise _failed("its metadata is too large, or not a regular file")
            path = target / entry.name
            os.rename(entry.path, path)
            own(path)


def own(path: Path) -> None:
    """Make a file of a build the service's own, readable for all and without set-user-id bits."""
    if os.geteuid() == 0:
        os.chown(path, 0, 0)
    path.chmod(0o644)


def _failed(reason: str) -> BuildSystemError:
    return BuildSystemError(
        f"createrepo_c could not make the repository: {reason}.",
        code="repository_failed",
        hint="Check whether `rpm -qp` can read the RPMs of all components.",
    )
