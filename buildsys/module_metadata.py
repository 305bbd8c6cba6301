"""Read modulemd documents of repositories of this machine: dnf's metadata, and folders of modulemd files."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from buildsys.unpacking import unpacked
from mbs.modulemd import StreamV2, examine, upgrade
from mbs.modulemd.documents import Document

log = logging.getLogger(__name__)

#: Unpacked bytes of one repository's documents, several of which are kept in memory; Fedora's have 10 MiB.
MAX_BYTES = 32 * 1024 * 1024
#: Bytes of address space of the process that unpacks them.
MAX_MEMORY = 512 * 1024 * 1024
#: Names of modulemd files: repository metadata (``<checksum>-modules.yaml.gz``), or single documents.
_MODULES = re.compile(r"(.*-)?modules\.yaml(\.(gz|xz|bz2|zst))?|[^.].*\.ya?ml")
_REPO = "{http://linux.duke.edu/metadata/repo}"
_SEPARATOR = re.compile(rb"^---(?=\s)", re.MULTILINE)


def streams_in(folder: Path, name: str) -> Iterator[tuple[Path, StreamV2]]:
    """Yield the documents of all streams of a module in a folder and its subfolders, with their files.

    Other and invalid documents are skipped. A folder that does not exist is empty.
    """
    # Parsing a whole repository takes seconds, so only documents that contain the name are parsed.
    named = re.compile(rb"\bname\b[\"']?\s*:\s*[\"']?%b\b" % re.escape(name.encode()))
    for path in sorted(folder.rglob("*")):
        if _MODULES.fullmatch(path.name) and path.is_file():
            state = path.stat()
            for part in _parts(path, state.st_mtime_ns, state.st_size):
                if named.search(part):
                    for document in _documents(path, part):
                        streams = (each for each in upgrade(document) if each.name == name and each.version)
                        yield from ((path, each) for each in streams)


@lru_cache(maxsize=8)
def _parts(path: Path, _changed: int, _size: int) -> tuple[bytes, ...]:
    """Return the documents of a file as separate texts."""
    try:
        return tuple(part for _, part in documents(path))
    except OSError as error:
        log.warning("The modules of %s are ignored: %s", path, error)
        return ()


def documents(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each YAML document of a file as text, with the number of lines before it.

    They are separated before parsing, so that a syntax error in one does not hide the following ones.

    Args:
        path: The file, which may be compressed.

    Raises:
        OSError: The file cannot be read or unpacked, or has more than ``MAX_BYTES``.
    """
    line = 0
    for part in _SEPARATOR.split(unpacked(path, max_bytes=MAX_BYTES, max_memory=MAX_MEMORY)):
        if part.strip():
            yield line, part
        line += part.count(b"\n")


def named_modules(folder: Path) -> Path | None:
    """Return the modules file of a repository, as ``repodata/repomd.xml`` names it; None: there is none.

    Args:
        folder: The repository, or its ``repodata`` folder.

    Raises:
        OSError: The index cannot be read, or names a file outside of the repository.
    """
    root = folder.parent if (folder / "repomd.xml").is_file() else folder
    index = root / "repodata" / "repomd.xml"
    if not index.is_file():
        return None
    try:
        text = unpacked(index, max_bytes=MAX_BYTES, max_memory=MAX_MEMORY)
        tree = ElementTree.fromstring(text)  # noqa: S314  (expat bounds entities, and loads no external ones)
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
    # One document at a time: a repository's file may exceed the size limit of a submitted file.
    for verdict in examine(text, strict=False):
        if verdict.document is not None:
            yield verdict.document
        else:
            log.warning("A document of %s is ignored: %s", path, verdict.problems[0].message)
