"""Metadata of RPM files, read by a bounded child process and stored beside them.

Neither rpm's library nor any other parser reads untrusted files in this process. The metadata is stored as
JSON (``write_facts``) with the digests of the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from buildsys.local import rpmheader
from buildsys.local.bounded import Bounds, ChildFailed, run
from buildsys.local.folders import write_atomically
from mbs.errors import MBSError

#: Seconds to read headers, and bytes per second to compute digests on a slow disk.
_SECONDS, _SPEED = 60, 20 << 20
_BOUNDS = Bounds(memory=1 << 30, output=96 << 20)

#: Fields of a package that may be long.
_LISTS = ("provides", "requires", "conflicts", "files")


class BadPackage(MBSError):
    """A file is not a valid RPM, or its header exceeds a limit."""

    code = "bad_package"


@dataclass(frozen=True, slots=True)
class Dependency:
    """A dependency ``name`` or ``name operator evr``; ``name`` may be a rich dependency in parentheses."""

    name: str
    operator: str = ""
    evr: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.operator} {self.evr}" if self.operator else self.name


@dataclass(frozen=True)
class Package:
    """The metadata of an RPM file.

    Attributes:
        arch: ``src`` for a source RPM.
        sourcerpm: File name of its source RPM; empty for a source RPM.
        files: Its files, without those with unprintable names.
        sha256: Digest of the file.
        size: Size of the file in bytes.
    """

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    license: str
    sourcerpm: str
    modularitylabel: str
    provides: tuple[Dependency, ...]
    requires: tuple[Dependency, ...]
    conflicts: tuple[Dependency, ...]
    files: tuple[str, ...]
    excludearch: tuple[str, ...]
    exclusivearch: tuple[str, ...]
    sha256: str = ""
    size: int = 0

    @property
    def nvr(self) -> str:
        """Name-version-release."""
        return f"{self.name}-{self.version}-{self.release}"

    @property
    def filename(self) -> str:
        """Name of the file."""
        return f"{self.nvr}.{self.arch}.rpm"

    @property
    def evr(self) -> str:
        """Epoch:version-release."""
        return f"{self.epoch}:{self.version}-{self.release}"

    @property
    def is_debug(self) -> bool:
        """Whether it is a debugging package."""
        return self.name.endswith(("-debuginfo", "-debugsource"))

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        """Return the package from a dict; see :meth:`as_dict`."""
        dependencies = {
            kind: tuple(Dependency(*each) for each in facts[kind])
            for kind in ("provides", "requires", "conflicts")
        }
        lists = {kind: tuple(facts[kind]) for kind in ("files", "excludearch", "exclusivearch")}
        return cls(**facts | dependencies | lists)

    def as_dict(self) -> dict[str, Any]:
        """Return the package as a dict for JSON."""
        dependencies = {
            kind: [[each.name, each.operator, each.evr] for each in getattr(self, kind)]
            for kind in ("provides", "requires", "conflicts")
        }
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | dependencies

    def slim(self) -> Package:
        """Return the package without dependencies and files, which may be many."""
        return replace(self, provides=(), requires=(), conflicts=(), files=())

    def is_file(self, path: Path) -> bool:
        """Return whether the file at ``path`` has the recorded digest."""
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                # Compare the size first, so that a file that has grown is not read.
                if os.fstat(file.fileno()).st_size != self.size:
                    return False
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except OSError:
            return False


def read_packages(paths: Sequence[Path]) -> list[Package]:
    """Read headers and digests of RPM files in a bounded child process.

    Returns:
        The packages in the order of the paths.

    Raises:
        BadPackage: A file is not an RPM, is a symbolic link or exceeds a limit, or the child failed.
    """
    if not paths:
        return []
    size = sum(path.lstat().st_size for path in paths)
    bounds = Bounds(_SECONDS + size / _SPEED, _BOUNDS.memory, _BOUNDS.output)
    argv = [sys.executable, "-I", "-S", "-B", rpmheader.__file__]
    try:
        output = run(argv, stdin=json.dumps([str(path) for path in paths]).encode(), bounds=bounds)
    except ChildFailed as error:
        raise BadPackage(f"The headers of the RPMs cannot be read: {error}.") from None
    packages = []
    for path, line in zip(paths, output.splitlines(), strict=True):
        answer = json.loads(line)
        if "package" not in answer:
            raise BadPackage(f"{path.name} cannot be used: {answer['error']}.")
        packages.append(Package.from_dict(answer["package"]))
    return packages


def read_package(path: Path) -> Package:
    """Read one RPM file; see :func:`read_packages`."""
    return read_packages([path])[0]


def write_facts(path: Path, packages: Sequence[Package]) -> None:
    """Store the metadata of the packages of one build.

    The first line contains all packages without dependencies and files. A line with these follows for each.
    """
    slim = [package.slim().as_dict() for package in packages]
    full = ({name: package.as_dict()[name] for name in _LISTS} for package in packages)
    write_atomically(path, "\n".join(map(json.dumps, (slim, *full))) + "\n")


def read_facts(path: Path) -> Iterator[Package]:
    """Yield the packages that :func:`write_facts` stored, one at a time to save memory."""
    with path.open("rb") as file:
        for facts, line in zip(json.loads(file.readline()), file, strict=True):
            yield Package.from_dict(facts | json.loads(line))


def read_slim(path: Path) -> list[Package]:
    """Return the packages that :func:`write_facts` stored, without dependencies and files."""
    with path.open("rb") as file:
        return [Package.from_dict(facts) for facts in json.loads(file.readline())]
