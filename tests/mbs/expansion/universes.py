"""Small universes for tests of stream expansion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mbs.expansion import Available, Expansion, MemoryUniverse, expand
from mbs.modulemd import Dependencies, StreamV2

Streams = Mapping[str, Sequence[str]]


def base(stream: str, *, virtual: Sequence[str] = (), **details: Any) -> Available:
    """Return a build of the base module platform."""
    return Available(
        "platform",
        stream,
        details.pop("version", 1),
        f"p{stream}".replace(".", ""),
        virtual_streams=tuple(virtual),
        koji_tag=f"module-{stream}-build",
        ref="virtual",
        **details,
    )


def module(nsvc: str, requires: Streams | None = None, *, on: str = "f30", **details: Any) -> Available:
    """Return a build for ``platform:<on>``, which it also requires unless ``requires`` differs."""
    name, stream, version, context = nsvc.split(":")
    needs = {"platform": [on], **(requires or {})}
    return Available(
        name,
        stream,
        int(version),
        context,
        requires=details.pop("alternatives", (needs,)),
        built_against={"platform": on},
        koji_tag=f"module-{name}-{stream}-{version}-{context}",
        ref=f"commit-{name}-{stream}",
        **details,
    )


def document(buildrequires: Streams, requires: Streams | None = None, **details: Any) -> StreamV2:
    """Return the document ``app:1`` with one dependency list."""
    return lists((buildrequires, {} if requires is None else requires), **details)


def lists(*dependencies: tuple[Streams, Streams], **details: Any) -> StreamV2:
    """Return the document ``app:1`` with several dependency lists."""
    return StreamV2(
        name="app",
        stream="1",
        version=7,
        dependencies=[
            Dependencies(*({name: list(streams) for name, streams in each.items()} for each in both))
            for both in dependencies
        ],
        **details,
    )


def run(what: StreamV2 | Sequence[StreamV2], *available: Available, **options: Any) -> Expansion:
    """Expand documents with these module builds."""
    return expand(what, MemoryUniverse(available), **options)


def combinations(found: Expansion) -> set[frozenset[str]]:
    """Return the direct buildrequires of each build as ``name:stream``."""
    return {
        frozenset(
            f"{name}:{stream}"
            for name, streams in build.document.dependencies[0].buildrequires.items()
            for stream in streams
        )
        for build in found.builds
    }


def installed(found: Expansion) -> list[list[str]]:
    """Return for each build the NSVCs that it is built against, without the base module."""
    return [
        [str(each.nsvc) for each in build.buildrequires.values() if each.name != "platform"]
        for build in found.builds
    ]
