"""Read the list of RPMs of another service's yum repository, which is not trusted."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from xml.parsers import expat

from buildsys.unpacking import unpacked
from mbs.client.local.downloads import BadDownload, Digest, Downloads
from mbs.names import RPM as RPM_NAME
from mbs.text import printable, whole_number

#: Bytes of the index of a repository, and of its list of packages, which Fedora's releases need a quarter of.
MAX_INDEX, MAX_PACKED, MAX_LIST = 1 << 20, 128 << 20, 512 << 20
#: Address space of the program that unpacks the list.
_MEMORY = 512 << 20
#: Max RPMs of one module, and max bytes of all of them.
MAX_RPMS, MAX_BYTES = 5000, 8 << 30
#: Max characters of a text, and max depth of elements.
_MAX_TEXT, _MAX_DEPTH = 4096, 16

Record = Mapping[str, tuple[Mapping[str, str], str]]


@dataclass(frozen=True)
class Rpm:
    """A binary RPM in a repository.

    Attributes:
        filename: Its name as an RPM file: ``name-version-release.arch.rpm``.
        build: ``name-version-release`` of its source RPM.
        size: Bytes.
        url: Its address.
    """

    filename: str
    build: str
    size: int
    digest: Digest
    url: str


def read_repository(
    downloads: Downloads, url: str, scratch: Path, *, builds: Collection[str], arches: Collection[str]
) -> list[Rpm]:
    """Return the RPMs of some builds in a repository.

    The list of RPMs is verified by the digest in the index, and later each RPM by its digest in the list.

    Args:
        downloads: Downloads its files.
        url: Its address.
        scratch: Folder for its metadata.
        builds: ``name-version-release`` of the source RPMs.
        arches: Architectures of the RPMs.

    Raises:
        NotThere: There is no repository.
        BadDownload: Its metadata is not valid, or too large.
        Unavailable: The server does not answer.
    """
    base = f"{url.rstrip('/')}/"
    index, packed = scratch / "repomd.xml", scratch / "primary"
    downloads.save(f"{base}repodata/repomd.xml", index, limit=MAX_INDEX)
    found: list[Record] = []
    _read(index.read_bytes(), "data", found.append)
    primary = next((each for each in found if _attribute(each, "data", "type") == "primary"), None)
    if primary is None:
        raise BadDownload(f"The repository {printable(url)} has no list of packages.")
    address = _inside(base, _attribute(primary, "location", "href"))
    downloads.save(address, packed, limit=MAX_PACKED, digest=_digest(primary, address))
    try:
        text = unpacked(packed, max_bytes=MAX_LIST, max_memory=_MEMORY)
    except OSError as error:
        raise BadDownload(f"{printable(address)} cannot be unpacked: {error}.") from error
    rpms: dict[str, Rpm] = {}

    def use(record: Record) -> None:
        rpm = _rpm(base, record, builds, arches)
        if rpm:
            rpms.setdefault(rpm.filename, rpm)
            if len(rpms) > MAX_RPMS:
                raise BadDownload(
                    f"The repository {printable(url)} has more than {MAX_RPMS} RPMs of a module."
                )

    _read(text, "package", use)
    if sum(rpm.size for rpm in rpms.values()) > MAX_BYTES:
        raise BadDownload(f"The RPMs of a module in {printable(url)} have more than {MAX_BYTES >> 30} GiB.")
    return [rpms[name] for name in sorted(rpms)]


def _rpm(base: str, record: Record, builds: Collection[str], arches: Collection[str]) -> Rpm | None:
    """Return the RPM of an element ``package`` if it is of one of the builds and installed in buildroots."""
    name, arch = _text(record, "name"), _text(record, "arch")
    build = _text(record, "sourcerpm").removesuffix(".src.rpm")
    if build not in builds or arch not in arches or name.endswith(("-debuginfo", "-debugsource")):
        return None
    version, release = (_attribute(record, "version", key) for key in ("ver", "rel"))
    filename = f"{name}-{version}-{release}.{arch}.rpm"
    size = whole_number(_attribute(record, "size", "package"))
    href = _attribute(record, "location", "href")
    # The base of a merged repository would lead elsewhere.
    elsewhere = any(key.endswith("base") for key in record.get("location", ({}, ""))[0])
    fits = RPM_NAME.fits(filename) and len(filename) <= 200
    if not fits or not size or elsewhere:
        raise BadDownload(f"{printable(base)} lists an RPM that is not valid: {printable(filename)[:200]}.")
    url = _inside(base, href)
    return Rpm(filename, build, size, _digest(record, url), url)


def _inside(base: str, href: str) -> str:
    """Return the address of a file of a repository, which is on the same host."""
    try:
        url = urljoin(base, href)
        one, other = urlsplit(base), urlsplit(url)
        same = (one.scheme, one.netloc) == (other.scheme, other.netloc)
    except ValueError:
        same = False
    if not href or not same or ".." in posixpath.normpath(href).split("/"):
        raise BadDownload(f"{printable(base)} lists a file outside of it: {printable(href)[:200]!r}.")
    return url


def _digest(record: Record, url: str) -> Digest:
    found = Digest(_attribute(record, "checksum", "type"), _text(record, "checksum"))
    if not found.usable:
        raise BadDownload(
            f"The repository of {printable(url)[:200]} has no sha256, sha384 or sha512 digest of it.",
            hint="Make the repository with a recent createrepo_c.",
        )
    return found


def _text(record: Record, element: str) -> str:
    return record.get(element, ({}, ""))[1].strip()


def _attribute(record: Record, element: str, name: str) -> str:
    return record.get(element, ({}, ""))[0].get(name, "")


def _read(text: bytes, element: str, use: Callable[[Record], None]) -> None:
    """Call ``use`` with each element of this name: local names of it and its descendants -> attributes, text.

    The parser builds no tree, because elements of four bytes would take a hundred times as much.
    """
    known = {"data", "package", "name", "arch", "version", "checksum", "size", "location", "sourcerpm"}
    record: dict[str, tuple[Mapping[str, str], str]] = {}
    path: list[str] = []
    parts: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name.rpartition(" ")[2])
        if len(path) > _MAX_DEPTH or sum(map(len, attributes.values())) > _MAX_TEXT:
            raise BadDownload("The metadata of a repository has elements that are too deep or too long.")
        parts.clear()
        if path[-1] == element:
            record.clear()
        if path[-1] in known and path[-1] not in record:
            record[path[-1]] = (attributes, "")

    def data(content: str) -> None:
        if len(parts) < _MAX_TEXT:
            parts.append(content[:_MAX_TEXT])

    def end(_: str) -> None:
        name = path.pop()
        if name in record and not record[name][1]:
            record[name] = (record[name][0], "".join(parts)[:_MAX_TEXT])
        parts.clear()
        if name == element:
            use(dict(record))

    def refuse(*_: object) -> None:
        raise BadDownload("The metadata of a repository declares a document type, which is not read.")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = data, refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise BadDownload(f"The metadata of a repository is not XML: {error}.") from error
