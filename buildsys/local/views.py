"""Make folders of extracted packages, which are laid over the host's root while a build runs.

A view is named after its packages, made once and never changed, so that all builds of a batch share it.
Packages are extracted inside a sandbox, so no scriptlet runs and no path leads out of the folder.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from buildsys.base import BuildSystemError
from buildsys.local.folders import lock
from buildsys.local.sandbox import BoundedLog, Sandbox, Stopped, remove_tree

# If /lib64 is a link to usr/lib64 on the host, files of packages in /lib64 must go there too. Folders without
# write permission would stop later packages. Builds run as another user than the owner.
_EXTRACT = """
mkdir -p tree/usr tree/etc
for name in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$name" ]; then
        target=$(readlink "/$name")
        mkdir -p "tree/${target#/}"
        ln -s "$target" "tree/$name"
    fi
done
for package in /input/*; do
    rpm2archive - < "$package" | tar -xz -C tree --keep-directory-symlink --no-same-owner
    chmod -R a+rX,u+w,go-w tree
done
"""
#: Seconds between two checks whether another build has made the view.
_POLL = 0.3
#: Debian's dynamic linker does not search /usr/lib64, where Fedora's packages have their libraries.
_LINKER_CACHE = "/sbin/ldconfig -X -C ld.so.cache /usr/lib64 /usr/lib"


def _key(rpms: Sequence[Path]) -> str:
    facts = [(rpm.name, rpm.stat().st_size, rpm.stat().st_mtime_ns) for rpm in rpms]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:24]


def make_view(
    folder: Path,
    rpms: Sequence[Path],
    sandbox: Sandbox,
    *,
    deadline: float | None = None,
    stop: Callable[[], str] = str,
) -> Path | None:
    """Return the view of these packages, made now unless it exists; None without packages.

    Args:
        folder: Folder of views.
        rpms: Binary RPMs; if two have the same file, that of the later one is visible.
        sandbox: Provides limits and user.
        deadline: See :meth:`Sandbox.run`.
        stop: See :meth:`Sandbox.run`.

    Raises:
        Stopped: It took too long, or ``stop`` returned a reason.
        BuildSystemError: ``view_failed``: a package cannot be extracted.
    """
    if not rpms:
        return None
    key = _key(rpms)
    view = folder / key
    if view.exists():
        return view
    folder.mkdir(parents=True, exist_ok=True)

    def run(box: Sandbox, script: str) -> None:
        _run(staging, box, script, deadline, stop)

    while not view.exists():
        with lock(folder / f"{key}.lock") as mine:
            if mine and not view.exists():
                staging = folder / f"{key}.new"
                remove_tree(staging)
                _extract(staging, rpms, replace(sandbox, mountpoint=staging / "root"), run)
                (staging / "work" / "tree").rename(view)
                remove_tree(staging)
        # Another build is making it.
        if not view.exists():
            if reason := stop():
                raise Stopped(reason)
            time.sleep(_POLL)
    return view


def _extract(
    staging: Path, rpms: Sequence[Path], sandbox: Sandbox, run: Callable[[Sandbox, str], None]
) -> None:
    source = staging / "input"
    source.mkdir(parents=True)
    for number, rpm in enumerate(rpms):
        os.link(rpm, source / f"{number:06}")
    sandbox = replace(sandbox, work=staging / "work", view=None, readonly={"/input": source})
    sandbox.prepare()
    run(sandbox, _EXTRACT)
    tree = sandbox.work / "tree"
    caching = replace(sandbox, view=tree, work=staging / "cache", readonly={})
    caching.prepare()
    run(caching, _LINKER_CACHE)
    if not (tree / "etc").is_symlink():
        (staging / "cache" / "ld.so.cache").replace(tree / "etc" / "ld.so.cache")


def _run(
    staging: Path, sandbox: Sandbox, script: str, deadline: float | None, stop: Callable[[], str]
) -> None:
    argv = ["/bin/bash", "-e", "-o", "pipefail", "-c", script]
    with BoundedLog(staging / "log", sandbox.limits.log_bytes) as log:
        code = sandbox.run(argv, log, deadline=deadline, stop=stop)
        if code:
            raise BuildSystemError(
                "The packages of earlier batches could not be extracted for the build: "
                + " / ".join(line for line in log.recent()[-6:] if line),
                code="view_failed",
                hint="Check which package has a damaged or conflicting payload.",
            )
