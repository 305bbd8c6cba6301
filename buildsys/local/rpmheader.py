"""The program that reads the headers of RPM files; ``buildsys.local.rpmfile`` starts it as a bounded child.

It uses only the standard library. Standard input is a JSON list of paths. Standard output has a line of JSON
for each: ``{"package": ...}`` or ``{"error": reason}``. The files are untrusted, so every number in a header
is checked against a limit before it is used.

The format is the RPM V4 package file format (docs/manual/format of rpm): a lead of 96 bytes, the signature
header padded to 8 bytes, and the header. Each header has a magic, a count, a size, the index and the store.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import struct
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

_LEAD, _MAGIC, _HEADER_MAGIC = 96, b"\xed\xab\xee\xdb", b"\x8e\xad\xe8\x01"
_MAX_ENTRIES, _MAX_STORE = 4096, 32 << 20
#: Limits of one package. Kernels provide their symbols, which are tens of thousands.
MAX_PROVIDES, MAX_DEPENDENCIES, MAX_FILES = 50_000, 10_000, 200_000
_MAX_FOLDERS, _MAX_ARCHES = 100_000, 100
#: Max characters of one value.
MAX_DEPENDENCY, _MAX_PATH, _MAX_LICENSE, _MAX_LABEL = 2000, 4096, 8192, 1024
_MAX_FILENAME = 255
#: Limits of all packages in a request together, because the service holds the answer in memory.
_MAX_ITEMS, _MAX_TEXT = 400_000, 32 << 20

# RPMTAG_*
_NAME, _VERSION, _RELEASE, _EPOCH, _LICENSE, _ARCH, _SOURCERPM = 1000, 1001, 1002, 1003, 1014, 1022, 1044
_MODULARITYLABEL = 5096
_PROVIDES, _REQUIRES, _CONFLICTS = (1047, 1112, 1113), (1049, 1048, 1050), (1054, 1053, 1055)
_EXCLUDEARCH, _EXCLUSIVEARCH = 1059, 1061
_SOURCEPACKAGE = 1106
_DIRINDEXES, _BASENAMES, _DIRNAMES = 1116, 1117, 1118
# RPM_*_TYPE
_INT16, _INT32, _STRING, _STRING_ARRAY, _I18N = 3, 4, 6, 8, 9
# RPMSENSE_*
_LESS, _GREATER, _EQUAL, _RPMLIB = 2, 4, 8, 1 << 24

_SAFE = re.compile(r"[A-Za-z0-9_+~^][A-Za-z0-9_+.~^-]*")


class Refused(Exception):
    """The file is not an RPM, or its header is damaged or exceeds a limit."""


class Budget:
    """The remaining limits of all packages in a request."""

    def __init__(self) -> None:
        self.items, self.text = _MAX_ITEMS, _MAX_TEXT

    def take(self, text: str) -> str:
        """Count a text and return it.

        Raises:
            Refused: The limit is exceeded.
        """
        self.items -= 1
        self.text -= len(text)
        if self.items < 0 or self.text < 0:
            raise Refused("the packages of the component have too many dependencies and files together")
        return text


def _read(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise Refused("it ends early")
    return data


class Header:
    """One header structure, which maps tags to values."""

    def __init__(self, file: BinaryIO) -> None:
        magic, count, size = struct.unpack(">4s4xII", _read(file, 16))
        if magic != _HEADER_MAGIC or count > _MAX_ENTRIES or size > _MAX_STORE:
            raise Refused(f"its header is damaged, or larger than {_MAX_STORE >> 20} MiB")
        index = _read(file, 16 * count)
        self._entries = {tag: rest for tag, *rest in struct.iter_unpack(">IIII", index)}
        # rpm and dnf might read the other value.
        if len(self._entries) != count:
            raise Refused("its header contains a tag twice")
        self._store = _read(file, size)
        self.size = size

    def _entry(self, tag: int, kinds: tuple[int, ...], most: int, what: str) -> tuple[int, int, int]:
        kind, offset, count = self._entries.get(tag, (0, 0, 0))
        if kind not in kinds:
            return 0, 0, 0
        count = 1 if kind == _STRING else count
        if count > most:
            raise Refused(f"it has more than {most} {what}")
        return kind, offset, count

    def strings(self, tag: int, most: int, what: str) -> Iterator[str]:
        """Yield the texts of a tag."""
        _, offset, count = self._entry(tag, (_STRING, _STRING_ARRAY, _I18N), most, what)
        for _ in range(count):
            end = self._store.find(b"\0", offset)
            if end < 0:
                raise Refused("it has an unterminated string")
            yield self._store[offset:end].decode("utf-8", "replace")
            offset = end + 1

    def numbers(self, tag: int, most: int, what: str) -> tuple[int, ...]:
        """Return the numbers of a tag."""
        kind, offset, count = self._entry(tag, (_INT16, _INT32), most, what)
        try:
            return struct.unpack_from(f">{count}{'I' if kind == _INT32 else 'H'}", self._store, offset)
        except struct.error:
            raise Refused("it has numbers outside its header") from None

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def text(self, tag: int, longest: int, what: str) -> str:
        """Return the text of a tag, which must be printable; an empty text if the tag is missing.

        Programs disagree about values of other types and about empty values, which rpmbuild never writes.
        """
        if tag not in self:
            return ""
        if self._entries[tag][0] != _STRING:
            raise Refused(f"its {what} is not a single text")
        found = next(self.strings(tag, 1, what))
        if not found or len(found) > longest or not found.isprintable():
            raise Refused(f"its {what} is longer than {longest} characters, not printable, or empty")
        return found

    def arches(self, tag: int) -> list[str]:
        """Return the architectures of a tag."""
        return [_safe(arch) for arch in self.strings(tag, _MAX_ARCHES, "architectures")]

    def dependencies(
        self, tags: tuple[int, int, int], what: str, budget: Budget, most: int = MAX_DEPENDENCIES
    ) -> list[list[str]]:
        """Return ``[name, operator, evr]`` of each dependency, without those on features of rpm."""
        names = self.strings(tags[0], most, what)
        flags = self.numbers(tags[1], most, what)
        versions = self.strings(tags[2], most, what)
        found = []
        for name, flag, version in zip(names, flags, versions, strict=False):
            if flag & _RPMLIB or name.startswith("rpmlib("):
                continue
            signs = "".join(
                sign for bit, sign in ((_LESS, "<"), (_GREATER, ">"), (_EQUAL, "=")) if flag & bit
            )
            dependency = [name, signs, version] if signs and version else [name, "", ""]
            whole = budget.take("".join(dependency))
            if len(whole) > MAX_DEPENDENCY or not whole.isprintable():
                raise Refused(f"one of its {what} is over {MAX_DEPENDENCY} characters, or not printable")
            found.append(dependency)
        return found

    def files(self, budget: Budget) -> list[str]:
        """Return the paths of its files, without unprintable ones, which no dependency can name."""
        folders = list(self.strings(_DIRNAMES, _MAX_FOLDERS, "folders"))
        names = self.strings(_BASENAMES, MAX_FILES, "files")
        found = []
        for number, name in zip(self.numbers(_DIRINDEXES, MAX_FILES, "files"), names, strict=False):
            if number >= len(folders) or len(folders[number]) + len(name) > _MAX_PATH:
                raise Refused(f"it has a file in no folder, or a path longer than {_MAX_PATH} characters")
            path = folders[number] + name
            if path.isprintable():
                found.append(budget.take(path))
        return found


def _safe(text: str) -> str:
    if len(text) > _MAX_FILENAME or not _SAFE.fullmatch(text):
        raise Refused(f"{text[:60]!r} is not a valid name, version, release or architecture")
    return text


def describe(path: str, budget: Budget) -> dict[str, Any]:
    """Return the metadata and the digest of an RPM file.

    Raises:
        Refused: The file is a symbolic link, not an RPM, damaged, or exceeds a limit.
        OSError: The file cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode) or _read(file, _LEAD)[:4] != _MAGIC:
            raise Refused("it is not an RPM file")
        signature = Header(file)
        _read(file, -signature.size % 8)
        header = Header(file)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    facts = _facts(header, budget)
    return facts | {"sha256": digest, "size": state.st_size}


def _facts(header: Header, budget: Budget) -> dict[str, Any]:
    sourcerpm = header.text(_SOURCERPM, _MAX_FILENAME, "source RPM")
    name, version, release, arch = (
        header.text(tag, _MAX_FILENAME, what)
        for tag, what in (
            (_NAME, "name"),
            (_VERSION, "version"),
            (_RELEASE, "release"),
            (_ARCH, "architecture"),
        )
    )
    if sourcerpm and _SOURCEPACKAGE in header:
        raise Refused("it is both a source and a binary package")
    arch = arch if sourcerpm else "src"
    for text in (name, version, release, arch):
        _safe(text)
    if "-" in version or "-" in release:
        raise Refused("its version or release contains a hyphen")
    if len(f"{name}-{version}-{release}.{arch}.rpm") > _MAX_FILENAME:
        raise Refused(f"its file name would be longer than {_MAX_FILENAME} characters")
    return {
        "name": name,
        "epoch": next(iter(header.numbers(_EPOCH, 1, "epochs")), 0),
        "version": version,
        "release": release,
        "arch": arch,
        "license": budget.take(header.text(_LICENSE, _MAX_LICENSE, "license")),
        "sourcerpm": sourcerpm,
        "modularitylabel": header.text(_MODULARITYLABEL, _MAX_LABEL, "modularity label"),
        "provides": header.dependencies(_PROVIDES, "provides", budget, MAX_PROVIDES),
        "requires": header.dependencies(_REQUIRES, "requirements", budget),
        "conflicts": header.dependencies(_CONFLICTS, "conflicts", budget),
        "files": header.files(budget),
        "excludearch": header.arches(_EXCLUDEARCH),
        "exclusivearch": header.arches(_EXCLUSIVEARCH),
    }


def main() -> None:
    """Answer each path on standard input."""
    budget = Budget()
    for path in json.load(sys.stdin):
        answer: dict[str, Any]
        try:
            answer = {"package": describe(path, budget)}
        except Refused as error:
            answer = {"error": str(error)}
        except OSError as error:
            answer = {"error": error.strerror or "it cannot be read"}
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
