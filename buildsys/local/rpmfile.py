"""What RPM files say of themselves, read once by a bounded child and kept beside them.

Nothing of rpm's own library, and no parser of ours, touches a file of strangers in this process. What was
read is kept as JSON (``write_facts``) with the digests of the files.
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

#: Seconds for the headers, and bytes that are read for the digests in a second, on a slow disk.
_SECONDS, _SPEED = 60, 20 << 20
_BOUNDS = Bounds(memory=1 << 30, output=96 << 20)

#: What a package may have many of.
_LISTS = ("provides", "requires", "conflicts", "files")


class BadPackage(MBSError):
    """A file that should be an RPM is none, or its header is damaged or dangerous."""

    code = "bad_package"


@dataclass(frozen=True, slots=True)
class Dependency:
    """``name``, ``name op evr``; ``name`` may be a rich dependency in parentheses."""

    name: str
    operator: str = ""
    evr: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.operator} {self.evr}" if self.operator else self.name


@dataclass(frozen=True)
class Package:
    """What the header of an RPM file says.

    Attributes:
        arch: ``src`` for a source RPM, whatever it was built on.
        sourcerpm: File name of the source RPM that it was built from; empty for a source RPM.
        files: Without those whose names are not printable.
        sha256: Digest of the file, of ``size`` bytes.
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
        return f"{self.name}-{self.version}-{self.release}"

    @property
    def filename(self) -> str:
        return f"{self.nvr}.{self.arch}.rpm"

    @property
    def evr(self) -> str:
        return f"{self.epoch}:{self.version}-{self.release}"

    @property
    def is_debug(self) -> bool:
        return self.name.endswith(("-debuginfo", "-debugsource"))

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        dependencies = {
            kind: tuple(Dependency(*each) for each in facts[kind])
            for kind in ("provides", "requires", "conflicts")
        }
        lists = {kind: tuple(facts[kind]) for kind in ("files", "excludearch", "exclusivearch")}
        return cls(**facts | dependencies | lists)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, and for :meth:`from_dict`."""
        dependencies = {
            kind: [[each.name, each.operator, each.evr] for each in getattr(self, kind)]
            for kind in ("provides", "requires", "conflicts")
        }
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | dependencies

    def slim(self) -> Package:
        """The same without dependencies and files, which may be many."""
        return replace(self, provides=(), requires=(), conflicts=(), files=())

    def is_file(self, path: Path) -> bool:
        """Whether the file at ``path`` is the one that was read, by its digest."""
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                # The size first: a file that has grown is not read to its end.
                if os.fstat(file.fileno()).st_size != self.size:
                    return False
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except OSError:
            return False


def read_packages(paths: Sequence[Path]) -> list[Package]:
    """Read the headers of RPM files, and their digests, in a bounded child process.

    Returns:
        In the order of the paths.

    Raises:
        BadPackage: When a file is no RPM file, a symbolic link, or over a bound; or when the child
            died.
    """
    if not paths:
        return []
    size = sum(path.lstat().st_size for path in paths)
    bounds = Bounds(_SECONDS + size / _SPEED, _BOUNDS.memory, _BOUNDS.output)
    argv = [sys.executable, "-I", "-S", "-B", rpmheader.__file__]
    try:
        said = run(argv, stdin=json.dumps([str(path) for path in paths]).encode(), bounds=bounds)
    except ChildFailed as error:
        raise BadPackage(f"The headers of the RPMs cannot be read: {error}.") from None
    packages = []
    for path, line in zip(paths, said.splitlines(), strict=True):
        answer = json.loads(line)
        if "package" not in answer:
            raise BadPackage(f"{path.name} cannot be used: {answer['error']}.")
        packages.append(Package.from_dict(answer["package"]))
    return packages


def read_package(path: Path) -> Package:
    """Read one RPM file; see :func:`read_packages`."""
    return read_packages([path])[0]


def write_facts(path: Path, packages: Sequence[Package]) -> None:
    """Keep what was read of the packages of one build.

    The first line holds all of them without dependencies and files; a line for each follows with these.
    """
    slim = [package.slim().as_dict() for package in packages]
    full = ({name: package.as_dict()[name] for name in _LISTS} for package in packages)
    write_atomically(path, "\n".join(map(json.dumps, (slim, *full))) + "\n")


def read_facts(path: Path) -> Iterator[Package]:
    """Yield what :func:`write_facts` kept: one package is in memory at a time."""
    with path.open("rb") as file:
        for facts, line in zip(json.loads(file.readline()), file, strict=True):
            yield Package.from_dict(facts | json.loads(line))


def read_slim(path: Path) -> list[Package]:
    """Return what :func:`write_facts` kept, without dependencies and files."""
    with path.open("rb") as file:
        return [Package.from_dict(facts) for facts in json.loads(file.readline())]
