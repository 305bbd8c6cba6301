"""Collect the results of a build, and refuse RPMs that do not belong to its module build.

A build may leave anything in its work folder. RPMs are first moved out of its reach, under generated names,
and then read by a bounded child process. Then createrepo_c reads them in the sandbox, so that an RPM that it
cannot read fails the component instead of the module.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from buildsys.base import Job, Module
from buildsys.local.repodata import own
from buildsys.local.rpmfile import Package, read_packages
from buildsys.local.sandbox import remove_tree
from mbs.modulemd import parse_stream

_MAX_RESULTS, _MAX_ENTRIES, _DEEPEST = 10_000, 200_000, 8
#: Max total size of one component's RPMs, because a worker waits while their digests are computed.
_MAX_BYTES = 8 << 30
#: A file of this size or more uses at least a quarter of it on disk, unless it is sparse.
_MAY_BE_SPARSE = 64 << 20


class BuildFailed(Exception):
    """The build made no valid RPMs; the message says why."""


def collect(source: Path, target: Path) -> list[Package]:
    """Move the RPMs of a build from ``source`` to ``target``, named as their headers say.

    Returns:
        Their metadata, sorted by file name.

    Raises:
        BuildFailed: There are too many, they are too large, or two have the same name.
        buildsys.local.rpmfile.BadPackage: An RPM cannot be read.
    """
    remove_tree(target)
    target.mkdir()
    found = sorted(_rpms(source))
    states = [path.lstat() for path in found]
    size = sum(state.st_size for state in states)
    if len(found) > _MAX_RESULTS or size > _MAX_BYTES:
        raise BuildFailed(
            f"The build made {len(found)} packages of {size} bytes in total. "
            f"At most {_MAX_RESULTS} packages and {_MAX_BYTES} bytes are allowed."
        )
    if any(
        state.st_size >= _MAY_BE_SPARSE and state.st_blocks * 512 < state.st_size // 4 for state in states
    ):
        raise BuildFailed("The build made a package that is a sparse file.")
    moved = []
    for number, path in enumerate(found):
        moved.append(target / f"{number:06}.rpm")
        path.rename(moved[-1])
        own(moved[-1])
    packages = read_packages(moved)
    names: set[str] = set()
    for path, package in zip(moved, packages, strict=True):
        if package.filename in names:
            raise BuildFailed(f"The build made {package.filename} twice.")
        names.add(package.filename)
        path.rename(target / package.filename)
    return sorted(packages, key=lambda package: package.filename)


def _rpms(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that may be RPMs, without following links."""
    entries = 0
    queue = [(folder, 0)] if folder.is_dir() and not folder.is_symlink() else []
    while queue:
        place, depth = queue.pop()
        with os.scandir(place) as listed:
            for entry in listed:
                entries += 1
                if entries > _MAX_ENTRIES or depth > _DEEPEST:
                    raise BuildFailed(
                        "The build left too many files, or too deeply nested folders, beside its packages."
                    )
                if entry.is_dir(follow_symlinks=False):
                    queue.append((Path(entry.path), depth + 1))
                elif entry.name.endswith(".rpm") and stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                    yield Path(entry.path)


def check_source(job: Job, source: Package) -> None:
    """Check that a source RPM belongs to the component and its module build.

    Raises:
        BuildFailed: It does not; the message says what to do.
    """
    if source.name not in {job.package, *_whitelist(job.module)}:
        raise BuildFailed(
            f"The spec file is of the package {source.name}, but the component is {job.package}. "
            "Name the component after the package, or list the package in buildopts.rpms.whitelist."
        )
    _check_identity(job.module, [source])


def check_built(job: Job, source: Package, built: Sequence[Package]) -> None:
    """Check that binary RPMs were built from the source RPM and belong to the module build.

    Raises:
        BuildFailed: They do not; the message says what to do.
    """
    if not built:
        raise BuildFailed("The build made no binary RPM.")
    for package in built:
        if package.sourcerpm != source.filename:
            raise BuildFailed(f"{package.filename} was not built from {source.filename}.")
    _check_identity(job.module, built)


def _whitelist(module: Module) -> Iterable[str]:
    return parse_stream(module.modulemd, strict=False).buildopts.rpm_whitelist


def _check_identity(module: Module, packages: Iterable[Package]) -> None:
    """Check that RPMs have the dist tag and modularity label of the module build."""
    # The dist tag may be in the middle, as in 1%{?dist}.2, but not part of a longer one.
    tagged = re.compile(rf"\.{re.escape(module.disttag)}(?![A-Za-z0-9+])")
    for package in packages:
        if not tagged.search(package.release):
            raise BuildFailed(
                f"{package.filename} has the release {package.release}, without the dist tag "
                f"{module.disttag} of this module build. Write 'Release: 1%{{?dist}}' in the spec file, with "
                "your release number, and do not define %dist."
            )
        if package.modularitylabel != str(module.nsvc):
            raise BuildFailed(
                f"{package.filename} has the modularity label {package.modularitylabel or '(none)'}, but "
                f"this module build is {module.nsvc}. Do not define %modularitylabel in the spec file."
            )
