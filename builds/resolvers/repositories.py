"""Modules in repositories of this machine: dnf's repository metadata, and folders of modulemd files."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from buildsys.module_metadata import streams_in
from mbs.expansion import Available, NameStream, available

log = logging.getLogger(__name__)


class RepositoryUniverse:
    """The modules in folders of this machine; see ``mbs.expansion.Universe``.

    The folders belong to one distribution, so their modules fit every requested base module. They contain no
    base modules.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        """Create a universe of these folders and all below them; folders that do not exist are empty."""
        self._folders = [Path(folder) for folder in folders]
        self._known: dict[str, Sequence[Available]] = {}

    def base_modules(self, names: Collection[str]) -> Sequence[Available]:
        """Return nothing: repositories contain no base modules."""
        return ()

    def streams(self, names: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return the streams of these modules."""
        return {name: sorted({build.stream for build in self._builds(name)}) for name in names}

    def candidates(
        self, wanted: Collection[NameStream], bases: Collection[NameStream]
    ) -> Sequence[Available]:
        """Return the newest builds of these streams, each as built against each of these base modules."""
        found = []
        for name, stream in wanted:
            builds = [build for build in self._builds(name) if build.stream == stream]
            newest = max((build.version for build in builds), default=0)
            found += [build for build in builds if build.version == newest]
        return [
            replace(build, built_against={**build.built_against, name: stream})
            for build in found
            for name, stream in bases
        ]

    def _builds(self, name: str) -> Sequence[Available]:
        if name not in self._known:
            # The same module may be in several repositories.
            unique = {build.nsvc: build for folder in self._folders for build in _in_folder(folder, name)}
            self._known[name] = [unique[nsvc] for nsvc in sorted(unique)]
        return self._known[name]


def _in_folder(folder: Path, name: str) -> Iterator[Available]:
    """Yield the modules of this name, with the tags that local builds give to their RPMs."""
    for path, document in streams_in(folder, name):
        build = available(document)
        build = replace(build, koji_tag=build.koji_tag or build.nsvc.koji_tag())
        if _usable(path, build):
            yield build


def _usable(path: Path, build: Available) -> bool:
    if fault := build.fault():
        log.warning("A module of %s is ignored: %s", path, fault)
    return not fault
