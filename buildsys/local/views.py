"""Folders of extracted packages that are laid over the host's root while a build runs.

A view is named after its packages, made once and never changed, so that all builds of a batch share it. It is
made inside a sandbox: no scriptlet runs, and no path in a package leads out of it.
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

# Where the host has /lib64 as a link to usr/lib64, a package that brings /lib64/x must put it there too.
# Folders without write permission would stop the next package; builds run as another user than the owner.
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
#: Seconds between two looks at whether another build has made the view.
_POLL = 0.3
#: The dynamic linker of Debian does not search /usr/lib64, where Fedora's packages have their libraries.
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
    """The view that holds these packages, made now unless it is there; None for no packages.

    Args:
        folder: Where views lie.
        rpms: Binary RPMs; of two that bring the same file the later one's is seen.
        sandbox: For its limits and user.
        deadline: As in :meth:`Sandbox.run`, as ``stop``.

    Raises:
        Stopped: When it took too long, or ``stop`` had a reason.
        BuildSystemError: ``view_failed``, when a package cannot be extracted.
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
        if not view.exists():  # another build is making it
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
                "The packages of earlier batches could not be installed in the view of the build: "
                + " / ".join(line for line in log.recent()[-6:] if line),
                code="view_failed",
                hint="See which package has a damaged or colliding payload.",
            )
