"""Unpack compressed files of untrusted repositories."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from buildsys.local import bounded
from buildsys.local.bounded import Bounds, ChildFailed

#: First bytes of compressed files -> the Python module or program that unpacks them.
_MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "lzma", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_UNPACK = "import {module}, shutil, sys; shutil.copyfileobj({module}.open(sys.argv[1]), sys.stdout.buffer)"


def unpacked(path: Path, *, max_bytes: int, max_memory: int) -> bytes:
    """Return the content of a file, unpacked if it begins like gzip, xz, bzip2 or zstd.

    Decompressors run in bounded child processes, because a few kilobytes of xz can need gigabytes of memory.

    Args:
        path: The file.
        max_bytes: Max size of the content.
        max_memory: Address space of the decompressor in bytes.

    Raises:
        OSError: The file cannot be read, is damaged or exceeds a limit, or zstd is not installed.
    """
    bounds = Bounds(seconds=60, memory=max_memory, output=max_bytes)
    with path.open("rb") as file:
        start = file.read(6)
    kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "")
    if kind == "zstd":
        program = shutil.which("zstd")
        if program is None:
            raise OSError("the program zstd is needed to unpack it: install the package zstd")
        argv = [program, "-dcq", "--", str(path.absolute())]
    elif kind:
        argv = [sys.executable, "-I", "-S", "-c", _UNPACK.format(module=kind), str(path.absolute())]
    else:
        return _plain(path, max_bytes)
    try:
        return bounded.run(argv, bounds=bounds)
    except ChildFailed as error:
        raise OSError(str(error)) from None


def _plain(path: Path, max_bytes: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(f"it takes more than {max_bytes} bytes")
    return content
