"""Take the RPMs of modules from another Module Build Service, whose answers are not trusted."""

from __future__ import annotations

import platform as machine
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import httpx

from mbs.client.local.downloads import BadDownload, Downloads, NotThere
from mbs.client.local.earlier_builds import EarlierBuild
from mbs.client.local.module_cache import MAX_NVR, CompleteModule, ModuleCache, Say
from mbs.client.local.rpm_repository import Rpm, read_repository
from mbs.client.rest import Client, Json
from mbs.errors import TooLarge
from mbs.macros import PACKAGE
from mbs.names import KOJI_TAG
from mbs.names import RPM as RPM_NAME
from mbs.nsvc import BUILD_SUFFIX, NSVC, TAGS
from mbs.text import printable

#: Components of one module whose RPMs are looked for.
MAX_COMPONENTS = 10_000
#: Bytes of the disk that downloads leave free.
RESERVE = 1 << 30
#: Builds that a message lists.
_LISTED = 10
#: Seconds between two lines of progress.
INTERVAL = 2.0


class OtherService:
    """The modules of another service, which are kept in a cache.

    Args:
        server: Its URL.
        say: Called with lines for the user.
        transport: Replaces the network in tests.
    """

    def __init__(self, server: str, say: Say, *, transport: httpx.BaseTransport | None = None) -> None:
        self._client = Client(server, transport=transport)
        self._server = self._client.server
        self._say = say
        self._downloads = Downloads(self._server, transport=transport)
        self._cache = ModuleCache.of(self._server)

    def __enter__(self) -> OtherService:
        return self

    def __exit__(self, *_: object) -> None:
        self._downloads.close()
        self._client.__exit__()

    def module(self, nsvc: NSVC) -> EarlierBuild | None:
        """Return a ready module with its RPMs; None if the service has no RPMs of it that can be downloaded.

        Raises:
            BadDownload: The service offers something that is not used.
            MBSError: The service does not answer, or a program fails.
        """
        return self._cache.provide(nsvc, self._server, self._say, self._fetch)

    def _fetch(self, nsvc: NSVC) -> EarlierBuild | None:
        answer = self._find(nsvc)
        builds = _builds(answer) if answer else []
        if answer is None or not builds:
            return None
        tag = answer.get("koji_tag")
        # Tags name folders, so with the tag of the module that is built, the RPMs would become its results.
        if not KOJI_TAG.fits(tag) or (str(tag).startswith(TAGS) and tag != nsvc.koji_tag()):
            raise BadDownload(f"{self._server} gives no valid tag of {nsvc}.")
        arrivals = self._cache.arrivals(str(tag))
        rpms = self._listed(nsvc, answer, builds)
        if not rpms:
            return None
        self._receive(nsvc, rpms, arrivals)
        names: dict[str, list[Path]] = {}
        for rpm in rpms:
            names.setdefault(rpm.build, []).append(arrivals / rpm.build / rpm.filename)
        return self._cache.complete(CompleteModule(nsvc, str(tag), str(answer.get("modulemd")), names))

    def _find(self, nsvc: NSVC) -> Json | None:
        wanted = {
            "name": nsvc.name,
            "stream": nsvc.stream,
            "version": nsvc.version,
            "context": nsvc.context,
        }
        found = self._client.builds({**wanted, "state": "ready", "verbose": "true"}, limit=1)
        return next((each for each in found if all(each.get(key) == wanted[key] for key in wanted)), None)

    def _listed(self, nsvc: NSVC, answer: Json, builds: Sequence[str]) -> list[Rpm]:
        """Return the RPMs of a module from the first of its repositories that has some."""
        arch = machine.machine()
        tried = []
        for address in _repositories(answer, arch):
            tried.append(address)
            with tempfile.TemporaryDirectory(prefix="mbs-repository-") as scratch:
                try:
                    rpms = read_repository(
                        self._downloads, address, Path(scratch), builds=builds, arches={arch, "noarch"}
                    )
                except NotThere:
                    continue
            if rpms:
                self._note_missing(nsvc, address, sorted({*builds} - {rpm.build for rpm in rpms}))
                return rpms
        where = f"there are none in {' and '.join(map(printable, tried))}" if tried else "it publishes none"
        self._say(
            f"{nsvc} is used from {self._server} without its RPMs: {where}. If components need its packages, "
            "install them on this machine."
        )
        return []

    def _note_missing(self, nsvc: NSVC, address: str, builds: Sequence[str]) -> None:
        """Say which builds have no RPMs: of the last batch on Koji, filtered, or only used in the module."""
        if builds:
            more = f" and {len(builds) - _LISTED} more" if len(builds) > _LISTED else ""
            self._say(
                f"{printable(address)} has no RPMs of {', '.join(builds[:_LISTED])}{more} of {nsvc}. If "
                "components need their packages, install them on this machine."
            )

    def _receive(self, nsvc: NSVC, rpms: Sequence[Rpm], arrivals: Path) -> None:
        """Download the RPMs that have not arrived yet."""
        missing = [rpm for rpm in rpms if not _is_here(rpm, arrivals)]
        total = sum(rpm.size for rpm in missing)
        if total > shutil.disk_usage(arrivals).free - RESERVE:
            raise TooLarge(
                f"The RPMs of {nsvc} have {_size(total)}, and the disk of {arrivals} has less space.",
                code="disk_full",
                hint="Free some space, or set XDG_CACHE_HOME to a folder on another disk.",
            )
        counted = f"{len(missing)} RPM{'s' if len(missing) != 1 else ''}"
        self._say(f"Downloading {nsvc} from {self._server}: {counted}, {_size(total)}.")
        done, said = 0, time.monotonic()

        def arrived(count: int) -> None:
            nonlocal done, said
            done += count
            if time.monotonic() - said > INTERVAL:
                said = time.monotonic()
                self._say(f"  {_size(done)} of {_size(total)}")

        for rpm in missing:
            path = arrivals / rpm.build / rpm.filename
            path.parent.mkdir(exist_ok=True)
            self._downloads.save(rpm.url, path, limit=rpm.size, digest=rpm.digest, arrived=arrived)


def _builds(answer: Json) -> list[str]:
    """Return the NVRs of the components of a build."""
    tasks = answer.get("tasks")
    rpms = tasks.get("rpms") if isinstance(tasks, dict) else None
    found = [
        each.get("nvr")
        for package, each in (rpms.items() if isinstance(rpms, dict) else ())
        if isinstance(each, dict) and package != PACKAGE
    ]
    builds = [str(nvr) for nvr in found if RPM_NAME.fits(nvr) and len(str(nvr)) <= MAX_NVR]
    if len(builds) > MAX_COMPONENTS:
        raise BadDownload(f"A module has more than {MAX_COMPONENTS} components.")
    return builds


def _repositories(answer: Json, arch: str) -> Iterator[str]:
    """Yield the addresses at which a service may publish the RPMs of a build.

    A service that builds locally has a repository for the build (``topdir``) and one for its stream. One on
    Koji names the folder of the build tag's repositories, or that of the imported module below the same root.
    """
    topdir, tag = answer.get("topdir"), str(answer.get("koji_tag"))
    if isinstance(topdir, str) and topdir.startswith(("http://", "https://")):
        root, packages, _ = topdir.partition("/packages/")
        if packages and topdir.endswith("/files/module"):
            yield f"{root}/repos/{quote(tag, safe='')}{BUILD_SUFFIX}/latest/{arch}"
        elif topdir.endswith("/latest"):
            yield f"{topdir}/{arch}"
        else:
            yield topdir
    stream = answer.get("repository_url")
    if isinstance(stream, str) and stream.startswith(("http://", "https://")):
        yield stream


def _is_here(rpm: Rpm, arrivals: Path) -> bool:
    path = arrivals / rpm.build / rpm.filename
    return path.is_file() and path.stat().st_size == rpm.size and rpm.digest.fits(path)


def _size(count: int) -> str:
    return f"{count / (1 << 20):.1f} MiB" if count >= 1 << 20 else f"{count / 1024:.1f} KiB"
