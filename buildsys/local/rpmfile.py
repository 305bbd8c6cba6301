"""Reads the header of an RPM file without running or trusting anything.

The files come out of builds of strangers, so nothing of rpm's own library touches them in this process.
Format: the RPM V4 package file format (docs/manual/format of rpm): a lead of 96 bytes, the signature header
padded to 8 bytes, and the header; each header is a magic, a count, a size, the index and the store.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mbs.errors import MBSError

_LEAD, _MAGIC, _HEADER_MAGIC = 96, b"\xed\xab\xee\xdb", b"\x8e\xad\xe8\x01"
_MAX_ENTRIES, _MAX_STORE = 1 << 16, 64 << 20
_INT16, _INT32, _STRING, _STRING_ARRAY, _I18N = 3, 4, 6, 8, 9

_NAME, _VERSION, _RELEASE, _EPOCH, _LICENSE, _ARCH, _SOURCERPM = 1000, 1001, 1002, 1003, 1014, 1022, 1044
_MODULARITYLABEL = 5096
_PROVIDES, _REQUIRES, _CONFLICTS = (1047, 1112, 1113), (1049, 1048, 1050), (1054, 1053, 1055)
_EXCLUDEARCH, _EXCLUSIVEARCH = 1059, 1061
_DIRINDEXES, _BASENAMES, _DIRNAMES = 1116, 1117, 1118

_SAFE = re.compile(r"[A-Za-z0-9_+.~^-]+")
_LESS, _GREATER, _EQUAL = 2, 4, 8
_RPMLIB = 1 << 24


class BadPackage(MBSError):
    """A file that should be an RPM is none, or its header is damaged or dangerous."""

    code = "bad_package"


@dataclass(frozen=True)
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

    :param arch: ``src`` for a source RPM, whatever it was built on.
    :param sourcerpm: file name of the source RPM that it was built from; empty for a source RPM.
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


def _read(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise BadPackage("The RPM file ends early.")
    return data


class _Header:
    """One header structure: tag -> values."""

    def __init__(self, file: BinaryIO) -> None:
        magic, count, size = struct.unpack(">4s4xII", _read(file, 16))
        if magic != _HEADER_MAGIC or count > _MAX_ENTRIES or size > _MAX_STORE:
            raise BadPackage("The RPM file has a damaged header.")
        index = _read(file, 16 * count)
        self._entries = {tag: rest for tag, *rest in struct.iter_unpack(">IIII", index)}
        self._store = _read(file, size)
        self.size = size

    def _strings(self, offset: int, count: int) -> Iterator[str]:
        for _ in range(count):
            end = self._store.find(b"\0", offset)
            if end < 0:
                raise BadPackage("The RPM file has a string without an end.")
            yield self._store[offset:end].decode("utf-8", "replace")
            offset = end + 1

    def strings(self, tag: int) -> tuple[str, ...]:
        kind, offset, count = self._entries.get(tag, (0, 0, 0))
        if kind not in (_STRING, _STRING_ARRAY, _I18N):
            return ()
        return tuple(self._strings(offset, 1 if kind == _STRING else count))

    def numbers(self, tag: int) -> tuple[int, ...]:
        kind, offset, count = self._entries.get(tag, (0, 0, 0))
        if kind not in (_INT16, _INT32):
            return ()
        try:
            return struct.unpack_from(f">{count}{'I' if kind == _INT32 else 'H'}", self._store, offset)
        except struct.error:
            raise BadPackage("The RPM file has numbers outside its header.") from None

    def string(self, tag: int) -> str:
        return next(iter(self.strings(tag)), "")

    def dependencies(self, tags: tuple[int, int, int]) -> tuple[Dependency, ...]:
        """Without those on features of rpm itself."""
        names, flags, versions = self.strings(tags[0]), self.numbers(tags[1]), self.strings(tags[2])
        found = []
        for name, flag, version in zip(names, flags, versions, strict=False):
            if flag & _RPMLIB or name.startswith("rpmlib("):
                continue
            signs = "".join(
                sign for bit, sign in ((_LESS, "<"), (_GREATER, ">"), (_EQUAL, "=")) if flag & bit
            )
            found.append(Dependency(name, signs, version) if signs and version else Dependency(name))
        return tuple(found)

    def files(self) -> tuple[str, ...]:
        folders = self.strings(_DIRNAMES)
        pairs = zip(self.numbers(_DIRINDEXES), self.strings(_BASENAMES), strict=False)
        return tuple(folders[number] + name for number, name in pairs if number < len(folders))


def read_package(path: Path) -> Package:
    """Read the header of an RPM file; a symbolic link is refused.

    :raises BadPackage: when it is no RPM file, or a name or a version in it could not be part of a file name.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            if _read(file, _LEAD)[:4] != _MAGIC:
                raise BadPackage("It is not an RPM file.")
            signature = _Header(file)
            _read(file, -signature.size % 8)
            header = _Header(file)
    except (OSError, BadPackage) as error:
        raise BadPackage(f"{path.name} cannot be read: {error}") from None
    name, version, release = header.string(_NAME), header.string(_VERSION), header.string(_RELEASE)
    arch = header.string(_ARCH) if header.string(_SOURCERPM) else "src"
    for text in (name, version, release, arch):
        if not _SAFE.fullmatch(text) or text.startswith((".", "-")):
            raise BadPackage(f"{path.name} has {text[:60]!r} as its name, version, release or architecture.")
    return Package(
        name=name,
        epoch=next(iter(header.numbers(_EPOCH)), 0),
        version=version,
        release=release,
        arch=arch,
        license=header.string(_LICENSE),
        sourcerpm=header.string(_SOURCERPM),
        modularitylabel=header.string(_MODULARITYLABEL),
        provides=header.dependencies(_PROVIDES),
        requires=header.dependencies(_REQUIRES),
        conflicts=header.dependencies(_CONFLICTS),
        files=header.files(),
        excludearch=header.strings(_EXCLUDEARCH),
        exclusivearch=header.strings(_EXCLUSIVEARCH),
    )
