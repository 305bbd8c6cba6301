"""The modules in repositories of this machine: what dnf knows of them, and folders of documents."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from buildsys.unpacking import unpacked
from mbs.expansion import Available, NameStream, available
from mbs.modulemd import examine, upgrade
from mbs.modulemd.documents import Document

log = logging.getLogger(__name__)

#: What one repository's documents may take when they are unpacked, since several are kept in memory:
#: Fedora's largest took 10 MiB.
MAX_BYTES = 32 * 1024 * 1024
#: Bytes of address space of the program that unpacks it.
MAX_MEMORY = 512 * 1024 * 1024
#: Files of modulemd in a folder: a repository's metadata (``<checksum>-modules.yaml.gz``), or loose ones.
_MODULES = re.compile(r"(.*-)?modules\.yaml(\.(gz|xz|bz2|zst))?|[^.].*\.ya?ml")
_REPO = "{http://linux.duke.edu/metadata/repo}"
_SEPARATOR = re.compile(rb"^---(?=\s)", re.MULTILINE)


class RepositoryUniverse:
    """See ``mbs.expansion.Universe``: a machine has one base, hence every module here goes with any base
    module that is asked about, and there are no base modules.

    :param folders: searched with all that lies below them; one that does not exist is empty.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self._folders = [Path(folder) for folder in folders]
        self._known: dict[str, Sequence[Available]] = {}

    def base_modules(self, names: Collection[str]) -> Sequence[Available]:
        return ()

    def streams(self, names: Collection[str]) -> Mapping[str, Sequence[str]]:
        return {name: sorted({build.stream for build in self._builds(name)}) for name in names}

    def candidates(
        self, wanted: Collection[NameStream], bases: Collection[NameStream]
    ) -> Sequence[Available]:
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
    """The modules of this name; what is none, or wrong, is passed over."""
    # Reading all that a repository holds takes seconds; what cannot be the module is not looked at.
    named = re.compile(rb"\bname\b[\"']?\s*:\s*[\"']?%b\b" % re.escape(name.encode()))
    for path in sorted(folder.rglob("*")):
        if _MODULES.fullmatch(path.name) and path.is_file():
            state = path.stat()
            for part in _parts(path, state.st_mtime_ns, state.st_size):
                if named.search(part):
                    for document in _documents(path, part):
                        streams = upgrade(document)
                        found = (available(each) for each in streams if each.name == name and each.version)
                        yield from (build for build in found if _usable(path, build))


def _usable(path: Path, build: Available) -> bool:
    if fault := build.fault():
        log.warning("A module of %s is passed over: %s", path, fault)
    return not fault


@lru_cache(maxsize=8)
def _parts(path: Path, _changed: int, _size: int) -> tuple[bytes, ...]:
    """The single documents of a file, as text."""
    try:
        return tuple(part for _, part in documents(path))
    except OSError as error:
        log.warning("Modules of %s are passed over: %s", path, error)
        return ()


def documents(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each YAML document of a file as text, with the number of the lines before it.

    Each is read by itself, since a syntax error ends what can be read of a text.

    Args:
        path: the file, which may be compressed.

    Raises:
        OSError: the file cannot be read or unpacked, or takes more than ``MAX_BYTES``.
    """
    line = 0
    for part in _SEPARATOR.split(unpacked(path, max_bytes=MAX_BYTES, max_memory=MAX_MEMORY)):
        if part.strip():
            yield line, part
        line += part.count(b"\n")


def named_modules(folder: Path) -> Path | None:
    """Return the file that ``repodata/repomd.xml`` of a folder names as ``modules``; None: there is none.

    :param folder: a repository, or its ``repodata``.
    :raises OSError: the index cannot be read, or names a file outside of the repository.
    """
    root = folder.parent if (folder / "repomd.xml").is_file() else folder
    index = root / "repodata" / "repomd.xml"
    if not index.is_file():
        return None
    try:
        tree = ElementTree.fromstring(unpacked(index, max_bytes=MAX_BYTES, max_memory=MAX_MEMORY))
    except ElementTree.ParseError as error:
        raise OSError(f"{index} is not XML: {error}") from error
    location = tree.find(f"{_REPO}data[@type='modules']/{_REPO}location")
    if location is None:
        return None
    path = (root / location.get("href", "")).resolve()
    if not path.is_relative_to(root.resolve()):
        raise OSError(f"{index} names a file outside of the repository")
    return path


def _documents(path: Path, text: bytes) -> Iterator[Document]:
    # One at a time: a repository's file may be larger than any file that a stranger may send.
    for verdict in examine(text, strict=False):
        if verdict.document is not None:
            yield verdict.document
        else:
            log.warning("A document of %s is passed over: %s", path, verdict.problems[0].message)
