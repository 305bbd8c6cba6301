"""Hashes that tell the contexts of a module apart, and versions made from streams.

Source of the rules: docs/contract/modulemd.md, "Names and hashes". The exact values are those of the
reference service (3.9.2): builds of both must agree on what is the same build.
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
    """Hash of what a module was built against.

    Args:
        buildrequires: ``xmd.mbs.buildrequires``: module name -> ``{"stream": ..., ...}``.
    """
    return _sha1_json({name: info["stream"] for name, info in buildrequires.items()})


def build_context_no_bms(
    buildrequires: Mapping[str, Mapping[str, Any]], base_modules: Collection[str] = ("platform",)
) -> str:
    """``build_context`` without the base modules: for reuse across streams of the base module."""
    return build_context({name: info for name, info in buildrequires.items() if name not in base_modules})


def runtime_context(requires: Iterable[Mapping[str, Iterable[str]]]) -> str:
    """Hash of what a module needs when it is installed.

    Args:
        requires: For each of the document's dependencies: module name -> streams.
    """
    merged: dict[str, set[str]] = {}
    for dependency in requires:
        for name, streams in dependency.items():
            merged.setdefault(name, set()).update(streams)
    return _sha1_json({name: sorted(streams) for name, streams in merged.items()})


def context(build: str, runtime: str) -> str:
    """The context of a module build (8 hex digits) from its build and runtime contexts."""
    return hashlib.sha1(f"{build}:{runtime}".encode(), usedforsecurity=False).hexdigest()[:8]


@dataclass(frozen=True)
class Contexts:
    """All hashes of one module build."""

    build_context: str
    build_context_no_bms: str
    runtime_context: str
    context: str


def contexts(
    buildrequires: Mapping[str, Mapping[str, Any]],
    requires: Iterable[Mapping[str, Iterable[str]]],
    base_modules: Collection[str] = ("platform",),
) -> Contexts:
    """All hashes at once; arguments as in the functions above."""
    build, runtime = build_context(buildrequires), runtime_context(requires)
    return Contexts(
        build, build_context_no_bms(buildrequires, base_modules), runtime, context(build, runtime)
    )


def stream_version(
    stream: str, *, right_pad: bool = True, suffixes: Mapping[str, float] | None = None
) -> float:
    """The number in the name of a base module's stream, by which streams are compared.

    ``f27`` is 270000, ``f27.0.1`` is 270001, ``el8.2.0.z`` is 80200. Without ``right_pad``: ``f27`` is 27.

    Args:
        right_pad: Fill with zeros to six digits.
        suffixes: Regular expression, matched at the start of the stream -> what it adds (the first
            that matches), such as 0.1 for ``z`` streams.

    Returns:
        0 when the stream has no number, or one that no float holds: such a stream takes no part in
        comparisons.
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
    """The version of a module build: the document's, after the base module's stream version.

    ``28`` and 20180205135154 make 2820180205135154.

    Args:
        version: The document's, or the commit time as ``YYYYMMDDhhmmss`` in UTC.
        base_stream: Stream of the base module that is buildrequired; None without one.

    Returns:
        ``version`` itself when the stream has no number, or the result would need over 64 bits.
    """
    prefix = int(stream_version(base_stream or "", right_pad=False))
    prefixed = int(f"{prefix}{version}")
    return prefixed if prefixed <= MAX_VERSION else version
