"""Hostile RPM files: headers with any content, and mutants of real files."""

from __future__ import annotations

import base64
import gzip
import hashlib
import random
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from buildsys.base import Module
from buildsys.local.rpmfile import Dependency, Package
from tests.buildsys.packages import module

#: RPM_*_TYPE
INT32, STRING, STRINGS = 4, 6, 8
NAME, VERSION, RELEASE, LICENSE, ARCH, SOURCERPM, LABEL = 1000, 1001, 1002, 1014, 1022, 1044, 5096
PROVIDE_NAMES, PROVIDE_FLAGS, PROVIDE_VERSIONS = 1047, 1112, 1113
REQUIRE_NAMES, REQUIRE_FLAGS, REQUIRE_VERSIONS = 1049, 1048, 1050
DIRINDEXES, BASENAMES, DIRNAMES, SOURCEPACKAGE = 1116, 1117, 1118, 1106

Value = str | Sequence[str] | Sequence[int] | bytes
_LEAD = b"\xed\xab\xee\xdb" + bytes(92)


def header(values: Mapping[int, Value]) -> bytes:
    """Return a header structure. Bytes are stored as an array of texts, with one for each NUL."""
    index, store = b"", b""
    for tag, value in values.items():
        if isinstance(value, str):
            kind, count, data = STRING, 1, value.encode() + b"\0"
        elif isinstance(value, bytes):
            kind, count, data = STRINGS, value.count(b"\0"), value
        elif value and isinstance(value[0], int):
            store += bytes(-len(store) % 4)
            kind, count, data = INT32, len(value), struct.pack(f">{len(value)}I", *value)
        else:
            kind, count, data = STRINGS, len(value), b"".join(str(each).encode() + b"\0" for each in value)
        index += struct.pack(">IIII", tag, kind, len(store), count)
        store += data
    return struct.pack(">4s4xII", b"\x8e\xad\xe8\x01", len(values), len(store)) + index + store


def rpm(values: Mapping[int, Value] | None = None, of: Module | None = None) -> bytes:
    """Return an RPM file without payload, ``one-1-1.<dist>.noarch`` of a module build by default."""
    of = of or module()
    own: dict[int, Value] = {
        NAME: "one",
        VERSION: "1",
        RELEASE: f"1.{of.disttag}",
        ARCH: "noarch",
        LICENSE: "MIT",
        SOURCERPM: f"one-1-1.{of.disttag}.src.rpm",
        LABEL: str(of.nsvc),
    }
    signature = header({})
    return _LEAD + signature + bytes(-len(signature) % 8) + header({**own, **(values or {})})


def leaving(content: bytes, name: str = "left.rpm") -> str:
    """Return shell commands for a spec file that put a file among the build's binary RPMs."""
    text = base64.b64encode(gzip.compress(content)).decode()
    return f"base64 -d <<'END' | gzip -d > /builddir/rpms/{name}\n{text}\nEND\n"


def mutants(original: bytes, number: int, seed: int = 1) -> Iterator[bytes]:
    """Yield copies of an RPM file with some changed bytes in its headers, the same for the same seed."""
    dice = random.Random(seed)
    for _ in range(number):
        mutant = bytearray(original)
        for _ in range(dice.randint(1, 8)):
            mutant[dice.randrange(96, min(len(mutant), 8192))] = dice.choice(
                (0, 1, 0x7F, 0x80, 0xFF, 0x2E, 0x41)
            )
        if dice.random() < 0.1:
            del mutant[dice.randrange(96, len(mutant)) :]
        yield bytes(mutant)


def digests(folder: Path) -> set[str]:
    """Return the digests of the RPMs in a folder."""
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.rpm")}


def package(*requires: Dependency, provides: tuple[Dependency, ...] = ()) -> Package:
    """Return a package with these dependencies."""
    return Package("p", 0, "1", "1", "noarch", "MIT", "p-1-1.src.rpm", "", provides, requires, (), (), (), ())
