"""Read the RPMs of external repositories of a tag, of which the hub only knows the addresses."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

import httpx
import koji
import solv

from buildsys.base import BuildSystemUnavailable, TaggedRpm
from buildsys.unpacking import unpacked

#: Max bytes of a repository's list of packages. Fedora's list of 70,000 packages has 20 MiB.
MAX_BYTES = 512 * 1024 * 1024
#: Address space in bytes of the program that unpacks the list.
MAX_MEMORY = 512 * 1024 * 1024


def rpms(url: str, arches: Iterable[str], timeout: float) -> set[TaggedRpm]:
    """Return the RPMs of a repository for some architectures.

    Args:
        url: Address; may contain ``$arch``, like Koji's.
        timeout: Seconds to wait for the server.

    Raises:
        BuildSystemUnavailable: ``external_repository``: it cannot be read.
    """
    addresses = sorted({url.replace("$arch", koji.canonArch(arch)) for arch in arches})
    return {rpm for address in addresses for rpm in _of(f"{address.rstrip('/')}/", timeout)}


def _of(address: str, timeout: float) -> Iterator[TaggedRpm]:
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    repo = pool.add_repo(address)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            httpx.Client(timeout=timeout, follow_redirects=True) as web,
        ):
            index = _fetched(web, urljoin(address, "repodata/repomd.xml"), Path(folder))
            repo.add_repomdxml(_opened(index, Path(folder)))
            for place in _primary(repo):
                packages = _fetched(web, urljoin(address, place), Path(folder))
                repo.add_rpmmd(_opened(packages, Path(folder)), None)
    except (httpx.HTTPError, OSError) as error:
        raise BuildSystemUnavailable(
            f"The external repository {address} cannot be read: {error}",
            code="external_repository",
            hint="Koji uses this repository. Check that this machine can reach it.",
        ) from error
    for item in repo.solvables:
        yield _rpm(item.name, item.evr, item.arch)


def _primary(repo: solv.Repo) -> list[str]:
    """Return the locations of the lists of packages, relative to the repository."""
    found = repo.Dataiterator_meta(solv.REPOSITORY_REPOMD_TYPE, "primary", solv.Dataiterator.SEARCH_STRING)
    found.prepend_keyname(solv.REPOSITORY_REPOMD)
    places = [each.parentpos().lookup_str(solv.REPOSITORY_REPOMD_LOCATION) for each in found]
    if not places:
        raise OSError("its repodata/repomd.xml lists no packages")
    return places


def _fetched(web: httpx.Client, address: str, folder: Path) -> Path:
    """Return a local file with the content of an address.

    Raises:
        OSError: The content exceeds ``MAX_BYTES``.
    """
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    place = folder / Path(parts.path).name
    with web.stream("GET", address) as answer, place.open("wb") as file:
        answer.raise_for_status()
        for part in answer.iter_bytes():
            file.write(part)
            if file.tell() > MAX_BYTES:
                raise OSError(f"{address} has more than {MAX_BYTES} bytes")
    return place


def _opened(place: Path, folder: Path) -> object:
    """Open a file for libsolv, unpacked, because PyPI's solv is built without zstd."""
    try:
        content = unpacked(place, max_bytes=MAX_BYTES, max_memory=MAX_MEMORY)
    except OSError as error:
        raise OSError(f"{place.name}: {error}") from None
    plain = folder / "unpacked.xml"
    plain.write_bytes(content)
    return solv.xfopen(str(plain))


def _rpm(name: str, evr: str, arch: str) -> TaggedRpm:
    epoch, _, rest = evr.rpartition(":")
    version, _, release = rest.partition("-")
    return TaggedRpm(name, int(epoch or 0), version, release, arch)
