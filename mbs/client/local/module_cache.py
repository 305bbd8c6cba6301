"""Modules of other places with their RPMs, kept in the user's cache in the form of earlier local builds.

======================= ==========================================================================
modules/N:S:V:C.yaml    document of a module whose RPMs are complete
local/modules/<tag>     its RPMs and repositories (``buildsys.local.modules``)
downloads/<tag>/NVR/    RPMs that have arrived, until the module is complete
======================= ==========================================================================

Each server has a cache of its own, because it could send other RPMs under the names of another server's
modules.
"""

from __future__ import annotations

import os
import platform as machine
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from buildsys.base import Module
from buildsys.local.folders import lock
from buildsys.local.modules import Built, ModuleFolder
from buildsys.local.repos import finish
from buildsys.local.rpmfile import Package, read_packages, write_facts
from buildsys.local.sandbox import Limits, Sandbox, remove_tree
from mbs.client.local import earlier_builds
from mbs.client.local.downloads import BadDownload
from mbs.client.local.source import digest
from mbs.modulemd import StreamV2, parse_stream
from mbs.nsvc import NSVC

#: Shows a line to the user.
Say = Callable[[str], None]
#: Characters of ``name-version-release`` of a source RPM, which becomes the name of a folder.
MAX_NVR = 200


@dataclass(frozen=True)
class CompleteModule:
    """A module that was built elsewhere.

    Attributes:
        tag: Its Koji tag, which names the folder of its RPMs.
        modulemd: Its document, with name, stream, version and context.
        rpms: ``name-version-release`` of source RPMs -> binary RPMs, in folders of these names in
            ``ModuleCache.arrivals``.
    """

    nsvc: NSVC
    tag: str
    modulemd: str
    rpms: Mapping[str, Sequence[Path]]


def cache_root() -> Path:
    """Return the folder of the caches: ``$XDG_CACHE_HOME/mbs/modules``."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path.home() / ".cache"
    return base / "mbs" / "modules"


@dataclass(frozen=True)
class ModuleCache:
    """The modules of one place; see the module's docstring."""

    path: Path

    @classmethod
    def of(cls, place: str) -> ModuleCache:
        """Return the cache for a server or another origin of modules, on this architecture."""
        return cls(cache_root() / digest(place, machine.machine()))

    def provide(
        self,
        nsvc: NSVC,
        place: str,
        say: Say,
        take: Callable[[NSVC], earlier_builds.EarlierBuild | None],
    ) -> earlier_builds.EarlierBuild | None:
        """Return a module, and take it from its place if it is not here.

        The cache is locked, so that several runs do not download the same files.

        Args:
            nsvc: The module.
            place: Names its place to the user.
            say: Called with lines for the user.
            take: Adds the module to the cache; returns None if its place does not have it.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with lock(self.path / "lock", wait=True):
            if known := self.find(nsvc):
                say(f"The RPMs of {nsvc} from {place} are in {self.path}.")
                return known
            return take(nsvc)

    def find(self, nsvc: NSVC) -> earlier_builds.EarlierBuild | None:
        """Return a complete module; None if it is not here."""
        document = earlier_builds.document_path(self.path, nsvc)
        return earlier_builds.EarlierBuild(self.path, document, nsvc) if document.is_file() else None

    def arrivals(self, tag: str) -> Path:
        """Return the folder for the RPMs of a module that is not complete."""
        path = self.path / "downloads" / quote(tag, safe="")
        path.mkdir(parents=True, exist_ok=True)
        return path

    def complete(self, module: CompleteModule) -> earlier_builds.EarlierBuild:
        """Make the repositories of a module whose RPMs have arrived.

        Raises:
            BadDownload: An RPM is not the one that its name says.
            MBSError: The RPMs cannot form a module, or a tool fails.
        """
        build = _as_module(module)
        root, arrivals = self.path / earlier_builds.SYSTEM, self.arrivals(module.tag)
        folder = ModuleFolder(root, module.tag)
        remove_tree(folder.path)
        folder.prepare()
        for nvr, paths in module.rpms.items():
            facts = arrivals / f".{nvr}"
            write_facts(facts, _examined(nvr, paths))
            folder.add_build(nvr, Built(arrivals / nvr, facts))
        sandbox = Sandbox(folder.path / "work", folder.path / "root", limits=Limits())
        finish(build, folder, list(module.rpms), machine.machine(), sandbox)
        document = earlier_builds.save(self.path, module.nsvc, module.modulemd, module.tag)
        remove_tree(arrivals)
        return earlier_builds.EarlierBuild(self.path, document, module.nsvc)


def _examined(nvr: str, paths: Sequence[Path]) -> list[Package]:
    """Return the metadata of RPMs after checking that it agrees with their names and their build."""
    packages = read_packages(paths)
    for path, package in zip(paths, packages, strict=True):
        if package.filename != path.name or package.sourcerpm != f"{nvr}.src.rpm":
            raise BadDownload(
                f"{path.name} contains another package: {package.filename[:200]}, "
                f"built from {package.sourcerpm[:200]}.",
                hint="Ask the owners of the repository.",
            )
    return packages


def _as_module(module: CompleteModule) -> Module:
    document, nsvc = parse_stream(module.modulemd, strict=False), module.nsvc
    if (document.name, document.stream, str(document.version), document.context) != (
        *(nsvc.name, nsvc.stream, nsvc.version, nsvc.context),
    ):
        raise BadDownload(f"The document of {nsvc} is of another module.")
    return Module(
        id=0,
        name=nsvc.name,
        stream=nsvc.stream,
        version=nsvc.version,
        context=nsvc.context,
        tag=module.tag,
        owner="",
        scratch=False,
        arches=(machine.machine(),),
        modulemd=module.modulemd,
        disttag="",
        buildrequires=_buildrequires(document),
    )


def _buildrequires(document: StreamV2) -> Mapping[str, Mapping[str, object]]:
    found = document.mbs.get("buildrequires")
    entries = found.items() if isinstance(found, dict) else ()
    return {str(name): entry for name, entry in entries if isinstance(entry, dict)}
