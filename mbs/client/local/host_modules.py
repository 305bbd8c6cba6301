"""Take modules with their RPMs from the dnf repositories of this machine."""

from __future__ import annotations

import json
import os
import platform as machine
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from buildsys.local.rpmfile import read_packages
from buildsys.local.sandbox import remove_tree
from buildsys.module_metadata import streams_in
from mbs.client.local.earlier_builds import EarlierBuild
from mbs.client.local.module_cache import MAX_NVR, CompleteModule, ModuleCache, Say, cache_root
from mbs.client.up.needs import Missing, install_command
from mbs.errors import MBSError
from mbs.expansion.memory import DEFAULT_CONTEXT
from mbs.modulemd import StreamV2, dump
from mbs.names import RPM as RPM_NAME
from mbs.nsvc import NSVC
from mbs.text import printable

#: dnf's caches for root, where metadata of the repositories is without network.
CACHES = (Path("/var/cache/dnf"), Path("/var/cache/libdnf5"))
#: Option of the service: the folders with metadata.
FOLDERS = "MBS_MODULE_REPOSITORIES"
#: Seconds for dnf to read the metadata of all repositories, or to download the RPMs of one module.
_SECONDS = 1800
#: Max RPMs of one module.
MAX_RPMS = 5000
#: An RPM in a document: name-epoch:version-release.arch.
_NEVRA = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*-[0-9]+:[A-Za-z0-9_.+~^]+-[A-Za-z0-9_.+~^]+\.([a-z0-9_]+)")
#: Lines of dnf's output in a message.
_LINES = 5


class DnfFailed(MBSError):
    """dnf failed."""

    code = "dnf_failed"


def metadata_folder() -> Path:
    """Return dnf's cache for local builds, which needs no root."""
    return cache_root().parent / "dnf"


def refresh(say: Say) -> Mapping[str, str]:
    """Read the metadata of the enabled repositories; return the option of the service that names it.

    Raises:
        Missing: dnf is not installed.
        DnfFailed: dnf failed.
    """
    say("Reading the modules of dnf's repositories ...")
    folder = metadata_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _dnf(folder, "makecache")
    return {FOLDERS: json.dumps([str(folder)])}


class HostModules:
    """The modules of dnf's repositories, whose RPMs are kept in a cache.

    Args:
        say: Called with lines for the user.
        offline: Use only what is in dnf's caches.
    """

    def __init__(self, say: Say, *, offline: bool) -> None:
        self._say = say
        self._offline = offline
        self._cache = ModuleCache.of("dnf")

    def module(self, nsvc: NSVC) -> EarlierBuild | None:
        """Return a module with its RPMs; None if it has none that dnf can provide.

        Raises:
            MBSError: dnf provides other RPMs than the document lists, or a program fails.
        """
        return self._cache.provide(nsvc, "dnf's repositories", self._say, self._take)

    def _take(self, nsvc: NSVC) -> EarlierBuild | None:
        document = self._document(nsvc)
        nevras = _rpms(document) if document else []
        if document is None or not nevras:
            return None
        tag = nsvc.koji_tag()
        arrivals = self._cache.arrivals(tag)
        remove_tree(arrivals / "all")
        (arrivals / "all").mkdir()
        counted = f"{len(nevras)} RPM{'s' if len(nevras) != 1 else ''}"
        self._say(f"Taking {nsvc} from dnf's repositories: {counted}.")
        try:
            self._download(arrivals / "all", nevras)
        except (DnfFailed, Missing) as error:
            self._say(
                f"{nsvc} is used without its RPMs: {error.message} {error.hint} If components need its "
                "packages, install them on this machine."
            )
            return None
        text = dump(replace(document, context=nsvc.context))
        return self._cache.complete(CompleteModule(nsvc, tag, text, _sorted(arrivals)))

    def _download(self, folder: Path, nevras: Sequence[str]) -> None:
        # Without module_hotfixes, dnf hides the RPMs of streams that are not enabled on this machine.
        options = ("--setopt=*.module_hotfixes=1", *(("--cacheonly",) if self._offline else ()))
        cache = None if self._offline else metadata_folder()
        _dnf(cache, *options, "download", f"--destdir={folder}", *nevras)
        found = sum(1 for _ in folder.glob("*.rpm"))
        if found < len(nevras):
            raise DnfFailed(f"dnf has {found} of its {len(nevras)} RPMs.")

    def _document(self, nsvc: NSVC) -> StreamV2 | None:
        for folder in _folders() if self._offline else [metadata_folder()]:
            for _, document in streams_in(folder, nsvc.name):
                if (document.stream, str(document.version), document.context or DEFAULT_CONTEXT) == (
                    *(nsvc.stream, nsvc.version, nsvc.context),
                ):
                    return document
        return None


def _folders() -> Sequence[Path]:
    """Return the folders in which the service finds modules without network."""
    given = os.environ.get(FOLDERS)
    try:
        return [Path(str(each)) for each in json.loads(given)] if given else CACHES
    except (ValueError, TypeError):
        return CACHES


def _rpms(document: StreamV2) -> list[str]:
    """Return the RPMs of a document that builds on this machine can use."""
    arches = (machine.machine(), "noarch")
    found = [
        nevra
        for nevra in document.artifact_rpms
        if (parts := _NEVRA.fullmatch(nevra)) and parts[1] in arches and not _is_debug(nevra)
    ]
    if len(found) > MAX_RPMS:
        raise DnfFailed(f"A module of dnf's repositories has more than {MAX_RPMS} RPMs.")
    return sorted(set(found))


def _is_debug(nevra: str) -> bool:
    return nevra.rsplit("-", 2)[0].endswith(("-debuginfo", "-debugsource"))


def _sorted(arrivals: Path) -> Mapping[str, Sequence[Path]]:
    """Move RPMs into folders that are named after their source RPMs."""
    paths = sorted((arrivals / "all").glob("*.rpm"))
    found: dict[str, list[Path]] = {}
    for path, package in zip(paths, read_packages(paths), strict=True):
        build = package.sourcerpm.removesuffix(".src.rpm")
        if not RPM_NAME.fits(build) or len(build) > MAX_NVR:
            raise DnfFailed(f"{package.filename} names no valid source RPM: {build[:100]!r}.")
        target = arrivals / build / package.filename
        target.parent.mkdir(exist_ok=True)
        path.replace(target)
        target.chmod(0o644)
        found.setdefault(build, []).append(target)
    return found


def _dnf(cache: Path | None, *arguments: str) -> None:
    """Run dnf with the repositories of this machine.

    Args:
        cache: Folder for its caches; None for its own.
    """
    program = shutil.which("dnf") or shutil.which("dnf5")
    if program is None:
        raise Missing("dnf is not installed.", hint=f"Install it as root: `{install_command('dnf', 'dnf')}`.")
    options = ("--quiet", "--assumeyes", *((f"--setopt=cachedir={cache}",) if cache else ()))
    try:
        done = subprocess.run(
            (program, *options, *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired as error:
        raise DnfFailed(f"dnf took longer than {_SECONDS} seconds.") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        hint = ""
        if "No such command" in said or "Unknown argument" in said:
            hint = (
                f"Install its plugins as root: `{install_command('dnf-plugins-core', 'dnf-plugins-core')}`."
            )
        lines = " / ".join(printable(line) for line in list(_lines(said))[-_LINES:])
        raise DnfFailed(f"dnf failed: {lines[:1000]}.", hint=hint)


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
