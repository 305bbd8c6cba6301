"""Compute the hashes that form contexts, and the numbers that form versions.

The rules are in docs/contract/modulemd.md, "Names and hashes". The values equal those of MBS 3.9.2, so that
both services recognize the same build.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: Versions are 64-bit unsigned integers.
MAX_VERSION = 2**64 - 1

_NUMBER = re.compile(r"[0-9][0-9.]*")


def _sha1_json(value: Mapping[str, object]) -> str:
    text = json.dumps(dict(sorted(value.items())))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def build_context(buildrequires: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the hash of the streams that a module is built against.

    Args:
        buildrequires: ``xmd.mbs.buildrequires``: module name -> ``{"stream": ..., ...}``.
    """
    return _sha1_json({name: info["stream"] for name, info in buildrequires.items()})


def build_context_no_bms(
    buildrequires: Mapping[str, Mapping[str, Any]], base_modules: Collection[str] = ("platform",)
) -> str:
    """Return ``build_context`` without base modules, to compare builds for different base streams."""
    return build_context({name: info for name, info in buildrequires.items() if name not in base_modules})


def runtime_context(requires: Iterable[Mapping[str, Iterable[str]]]) -> str:
    """Return the hash of the streams that a module requires when it is installed.

    Args:
        requires: For each dependency list of the document: module name -> streams.
    """
    merged: dict[str, set[str]] = {}
    for dependency in requires:
        for name, streams in dependency.items():
            merged.setdefault(name, set()).update(streams)
    return _sha1_json({name: sorted(streams) for name, streams in merged.items()})


def context(build: str, runtime: str) -> str:
    """Return the context of a module build, 8 hexadecimal digits made from its build and runtime contexts."""
    return hashlib.sha1(f"{build}:{runtime}".encode(), usedforsecurity=False).hexdigest()[:8]


@dataclass(frozen=True)
class Contexts:
    """The hashes of one module build; see the functions of the same names."""

    build_context: str
    build_context_no_bms: str
    runtime_context: str
    context: str


def contexts(
    buildrequires: Mapping[str, Mapping[str, Any]],
    requires: Iterable[Mapping[str, Iterable[str]]],
    base_modules: Collection[str] = ("platform",),
) -> Contexts:
    """Return all hashes of a module build; for the arguments see the functions above."""
    build, runtime = build_context(buildrequires), runtime_context(requires)
    return Contexts(
        build, build_context_no_bms(buildrequires, base_modules), runtime, context(build, runtime)
    )


def stream_version(
    stream: str, *, right_pad: bool = True, suffixes: Mapping[str, float] | None = None
) -> float:
    """Return the number by which a base module's stream is compared with others.

    ``f27`` is 270000, ``f27.0.1`` is 270001, ``el8.2.0.z`` is 80200. Without ``right_pad``, ``f27`` is 27.

    Args:
        right_pad: Fill the number with zeros to six digits.
        suffixes: Regular expression -> number to add. The first expression that matches at the start of the
            stream applies, for example 0.1 for ``z`` streams.

    Returns:
        0 for a stream without a number, or with a number too large for a float. Such a stream is not
            compared.
    """
    found = _NUMBER.search(stream)
    sections = found[0].rstrip(".").split(".") if found else []
    digits = "".join(section.zfill(2) for section in sections)
    number = float(digits.ljust(6, "0") if right_pad else digits or "0")
    if math.isinf(number):
        return 0.0
    for regex, suffix in (suffixes or {}).items():
        if re.match(regex, stream):
            return number + suffix
    return number


def prefixed_version(version: int, base_stream: str | None) -> int:
    """Return the version of a module build: the document's version behind the base module's stream number.

    Version 20180205135154 on stream ``f28`` becomes 2820180205135154.

    Args:
        version: The document's version, or the commit time in UTC as ``YYYYMMDDhhmmss``.
        base_stream: Stream of the buildrequired base module, or None.

    Returns:
        ``version`` unchanged if the stream has no number or the result would exceed 64 bits.
    """
    prefix = int(stream_version(base_stream or "", right_pad=False))
    prefixed = int(f"{prefix}{version}")
    return prefixed if prefixed <= MAX_VERSION else version
