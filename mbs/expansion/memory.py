"""A universe of module builds in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from mbs.expansion.universe import Available, NameStream
from mbs.modulemd.documents import StreamV2

#: The context of a build whose document has none.
DEFAULT_CONTEXT = "00000000"


def available(document: StreamV2, *, koji_tag: str | None = None, retired: bool = False) -> Available:
    """Return the module build that a document describes.

    Args:
        koji_tag: Tag of the build; by default ``xmd.mbs.koji_tag``.
        retired: Whether it is a base module in state garbage.
    """
    notes = document.mbs
    streams = notes.get("virtual_streams")
    return Available(
        name=document.name,
        stream=document.stream,
        version=document.version or 0,
        context=document.context or DEFAULT_CONTEXT,
        requires=tuple(each.requires for each in document.dependencies),
        built_against=_built_against(document, notes.get("buildrequires")),
        virtual_streams=tuple(map(str, streams)) if isinstance(streams, list) else (),
        koji_tag=_text(notes, "koji_tag") if koji_tag is None else koji_tag,
        ref=_text(notes, "commit"),
        retired=retired,
        disttag_marking=_text(notes, "disttag_marking"),
    )


def _text(notes: Mapping[str, Any], key: str) -> str:
    value = notes.get(key)
    return value if isinstance(value, str) else ""


def _built_against(document: StreamV2, notes: object) -> dict[str, str]:
    """Return name -> stream of the buildrequires: as recorded, otherwise as the dependencies fix them."""
    recorded = {
        name: info["stream"]
        for name, info in (notes.items() if isinstance(notes, dict) else ())
        if isinstance(info, dict) and isinstance(info.get("stream"), str)
    }
    fixed = {
        name: streams[0]
        for each in document.dependencies[:1]
        for name, streams in each.buildrequires.items()
        if len(streams) == 1 and not streams[0].startswith("-")
    }
    return recorded or fixed


class MemoryUniverse:
    """A ``Universe`` of the builds that it is given.

    Args:
        builds: Builds in state ready, and retired base modules. If an NSVC comes twice, the last one is
            used.

    Attributes:
        calls: How often each method was called.
    """

    def __init__(self, builds: Iterable[Available]) -> None:
        unique = {build.nsvc: build for build in builds}
        self._builds: dict[str, list[Available]] = defaultdict(list)
        for build in unique.values():
            self._builds[build.name].append(build)
        self.calls = dict.fromkeys(("base_modules", "streams", "candidates"), 0)

    @classmethod
    def from_documents(cls, documents: Iterable[StreamV2]) -> MemoryUniverse:
        """Treat every document as a build in state ready."""
        return cls(map(available, documents))

    def base_modules(self, names: Collection[str]) -> Sequence[Available]:
        """Return the newest build of each stream of these modules."""
        self.calls["base_modules"] += 1
        newest: dict[str, Available] = {}
        for build in (build for name in names for build in self._builds.get(name, ())):
            known = newest.get(build.ns)
            if not known or (not build.retired, build.version) > (not known.retired, known.version):
                newest[build.ns] = build
        return list(newest.values())

    def streams(self, names: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return the streams of each module."""
        self.calls["streams"] += 1
        return {name: sorted({build.stream for build in self._builds.get(name, ())}) for name in names}

    def candidates(
        self, wanted: Collection[NameStream], bases: Collection[NameStream]
    ) -> Sequence[Available]:
        """Return the newest builds of the wanted streams that were built against one of the base streams."""
        self.calls["candidates"] += 1
        found: dict[Available, None] = {}
        for name, stream in wanted:
            builds = [build for build in self._builds.get(name, ()) if build.stream == stream]
            for base, base_stream in bases:
                made = [build for build in builds if build.built_against.get(base) == base_stream]
                newest = max((build.version for build in made), default=0)
                found |= dict.fromkeys(build for build in made if build.version == newest)
        return list(found)
