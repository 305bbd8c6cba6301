"""The folder of one module build: its results, its buildroot and its content.

======================= ==========================================================================
module.json             the module build
tasks/NUMBER            empty; the submissions that belong to it
built/NVR               link to the folder with the RPMs of a submission
buildroot/NVR/          hard links: builds that later batches see
final/NVR/              hard links: builds that belong to the module
views/                  extracted packages for the sandboxes
repo/                   the finished yum repository
source/                 the source RPMs of its packages
host/                   a repository with the host package (see ``hostpackage``)
======================= ==========================================================================

A build is identified by its submission and not by its NVR alone, because another user's module may build the
same NVR. Beside the RPMs of a tagged build is the metadata that was read after the build, with digests
(``.packages.json``).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from buildsys.base import BuildSystemError, Module, Tagged, TaskState
from buildsys.delivery import ResultFile
from buildsys.local.folders import TaskFolder
from buildsys.local.rpmfile import Package, read_facts, read_packages, read_slim
from buildsys.local.sandbox import remove_tree
from buildsys.recorded import BuiltPackage
from mbs.macros import PACKAGE

#: In the folder of a submission and, hidden, in that of a tagged build; see ``write_facts``.
FACTS, _FACTS = "packages.json", ".packages.json"
#: Bytes of facts about one module that are read for people.
MAX_FACTS = 8 << 20
_NVR = re.compile(r"[A-Za-z0-9_+~^][A-Za-z0-9_.+~^-]*")


@dataclass(frozen=True)
class ModuleFolder:
    """See the module's docstring.

    Attributes:
        root: Folder of the build system.
        tag: Tag of the module.
    """

    root: Path
    tag: str

    @classmethod
    def of(cls, root: Path, module: Module) -> ModuleFolder:
        """Return the folder of a module build."""
        return cls(root, module.tag)

    @property
    def path(self) -> Path:
        """The path of the folder."""
        # A stream may contain characters that a file name may not, or that change the path.
        name = quote(self.tag, safe="+")
        return self.root / "modules" / (f"%2E{name[1:]}" if name.startswith(".") else name)

    @property
    def repo(self) -> Path:
        """The finished yum repository."""
        return self.path / "repo"

    @property
    def host(self) -> Path:
        """The repository of the host package."""
        return self.path / "host"

    @property
    def views(self) -> Path:
        """The folder of views."""
        return self.path / "views"

    def prepare(self) -> None:
        """Make the folders that builds need."""
        for name in ("tasks", "built", "buildroot", "final"):
            (self.path / name).mkdir(parents=True, exist_ok=True)

    def add_task(self, number: int) -> None:
        """Record a submission of the module."""
        (self.path / "tasks" / str(number)).touch()

    def tasks(self) -> list[int]:
        """Return the submissions of the module."""
        folder = self.path / "tasks"
        return [int(name) for name in os.listdir(folder)] if folder.exists() else []

    def publish(self, nvr: str, rpms: Path) -> None:
        """Record the folder of an NVR's RPMs. A later attempt of the same component replaces it."""
        link = self.path / "built" / _checked(nvr)
        new = link.with_name(f".{rpms.parent.name}")
        new.unlink(missing_ok=True)
        new.symlink_to(os.path.relpath(rpms, link.parent))
        new.replace(link)

    def built_by(self, nvr: str) -> int | None:
        """Return the submission that built an NVR for this module, or None."""
        try:
            return int(Path(os.readlink(self.path / "built" / _checked(nvr))).parent.name)
        except FileNotFoundError:
            return None

    def tag_build(self, nvr: str, number: int | None = None, *, final: bool) -> None:
        """Tag a build into the buildroot and, if ``final``, into the module.

        Args:
            number: Submission that built it; None for a build of this module.

        Raises:
            BuildSystemError: ``unknown_build``: no such submission has built this NVR. ``build_altered``:
                its files have changed since.
        """
        number = self.built_by(nvr) if number is None else number
        build = None if number is None else Built.find(self.root, number, nvr)
        if build is None:
            raise BuildSystemError(
                f"The build {nvr} does not exist, or this module may not use it.",
                code="unknown_build",
                hint="Build it again: submit the module with the rebuild strategy 'all'.",
            )
        for kind in ("buildroot", "final") if final else ("buildroot",):
            _link_build(build, self.path / kind / nvr)

    def add_build(self, nvr: str, build: Built) -> None:
        """Add a build that was made elsewhere to the module.

        Raises:
            BuildSystemError: ``build_altered``: its files have changed since their metadata was read.
        """
        _link_build(build, self.path / "final" / _checked(nvr))

    def tagged(self, nvrs: Iterable[str]) -> Tagged:
        """Return which of these builds are tagged."""
        known = {kind: frozenset(self.nvrs(kind)) for kind in ("buildroot", "final")}
        asked = frozenset(nvrs)
        return Tagged(buildroot=asked & known["buildroot"], final=asked & known["final"])

    def nvrs(self, kind: str) -> list[str]:
        """Return the NVRs in ``buildroot`` or ``final``."""
        folder = self.path / kind
        return sorted(name for name in os.listdir(folder) if name[0] != ".") if folder.exists() else []

    def packages(self, kind: str, nvr: str, *, slim: bool = False) -> Iterator[tuple[Path, Package]]:
        """Yield RPMs of a build in ``buildroot`` or ``final``, including source RPMs, and their metadata.

        Args:
            slim: Leave out dependencies and files.
        """
        folder = self.path / kind / _checked(nvr)
        facts = folder / _FACTS
        packages: Iterable[Package]
        if facts.exists():
            packages = read_slim(facts) if slim else read_facts(facts)
        else:
            # The build was tagged by an older version, which kept no metadata.
            packages = read_packages(sorted(folder.glob("*.rpm")))
        for package in packages:
            yield folder / package.filename, package

    def files(self, most: int) -> list[ResultFile]:
        """Return the RPMs of the finished module; see ``buildsys.delivery.ListsFiles``."""
        return [
            ResultFile(str(path.relative_to(self.root)), path.stat().st_size)
            for name in ("repo", "source")
            for path in sorted(islice((self.path / name).glob("*.rpm"), most))
        ]

    def recorded(self) -> Iterator[BuiltPackage]:
        """Yield the RPMs of the builds in ``final``, source RPMs too.

        Of the first builds that fit into ``MAX_FACTS`` their dependencies are read too.
        """
        nvrs, left = self.nvrs("final"), MAX_FACTS
        for nvr in nvrs:
            if not (self.path / "final" / _checked(nvr) / _FACTS).exists():
                continue
            left -= self.facts_size([nvr])
            slim = left < 0
            for _, package in self.packages("final", nvr, slim=slim):
                yield BuiltPackage(
                    *(package.name, package.evr, package.arch, package.size),
                    requires=None if slim else tuple(map(str, package.requires)),
                    provides=None if slim else tuple(map(str, package.provides)),
                )

    def facts_size(self, nvrs: Iterable[str]) -> int:
        """Return the size in bytes of the metadata of builds in ``final``."""
        files = (self.path / "final" / _checked(nvr) / _FACTS for nvr in nvrs)
        return sum(file.stat().st_size for file in files if file.exists())

    def content(self) -> Iterator[tuple[Path, Package]]:
        """Yield the binary RPMs of the finished module with their metadata."""
        for nvr in self.nvrs("final"):
            for _, package in self.packages("final", nvr):
                path = self.repo / package.filename
                if path.exists():
                    yield path, package


@dataclass(frozen=True)
class Built:
    """A finished build of the local build system.

    Attributes:
        rpms: Folder of its RPMs.
        facts: File with their metadata.
    """

    rpms: Path
    facts: Path

    @classmethod
    def find(cls, root: Path, number: int, nvr: str) -> Built | None:
        """Return the build of a submission if it is this NVR and its digests were recorded."""
        task = TaskFolder(root / "tasks" / str(number))
        outcome = task.outcome()
        if outcome is None or outcome.state is not TaskState.COMPLETE or outcome.nvr != _checked(nvr):
            return None
        build = cls(task.rpms, task.path / FACTS)
        return build if build.facts.exists() and build.rpms.is_dir() else None


def _checked(nvr: str) -> str:
    """Return an NVR after checking that it is safe as a part of a path."""
    if not _NVR.fullmatch(nvr):
        raise BuildSystemError(f"{nvr[:100]!r} is not a name-version-release.", code="unknown_build")
    return nvr


def altered(path: Path) -> BuildSystemError:
    """Return the error for a file that was changed after the build."""
    return BuildSystemError(
        f"{path.name} has changed since it was built: its digest differs.",
        code="build_altered",
        hint="Find out why, and build the module again with the rebuild strategy 'all'.",
    )


def _link_build(build: Built, target: Path) -> None:
    """Make ``target`` a folder of hard links to the RPMs of a build, atomically."""
    if target.exists():
        return
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    new.chmod(0o755)
    try:
        for package in read_slim(build.facts):
            path = build.rpms / package.filename
            if not package.is_file(path):
                raise altered(path)
            os.link(path, new / path.name)
        os.link(build.facts, new / _FACTS)
        try:
            new.rename(target)
        except OSError:
            # Another process was faster.
            if not target.exists():
                raise
    finally:
        remove_tree(new)


def installable(rpms: Iterable[tuple[Path, Package]]) -> list[tuple[Path, Package]]:
    """Return the RPMs to install in the view of a build.

    Source and debugging packages are left out, and packages that the macros package conflicts with
    (docs/contract/koji.md, point 2).

    Args:
        rpms: Packages with their paths; iterated once.

    Returns:
        The packages without their dependencies and files.
    """
    unwanted: set[tuple[str, str]] = set()
    found = []
    for path, package in rpms:
        if package.name == PACKAGE:
            unwanted |= {
                (each.name, each.evr if ":" in each.evr else f"0:{each.evr}" * bool(each.evr))
                for each in package.conflicts
            }
        if package.arch != "src" and not package.is_debug:
            found.append((path, package.slim()))
    return [
        (path, package)
        for path, package in found
        if unwanted.isdisjoint({(package.name, ""), (package.name, package.evr)})
    ]
