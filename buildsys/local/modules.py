"""The folder of one module build: what was built for it, its buildroot, and its content.

======================= ==========================================================================
module.json             the module build, as the service knows it
tasks/NUMBER            empty; the submissions that belong to it
built/NVR               link to the folder of the RPMs that a submission made
buildroot/NVR/          hard links: what later batches see
final/NVR/              hard links: what the module holds
views/                  extracted packages for the sandboxes
repo/                   the finished yum repository
source/                 the source RPMs of what is in it
host/                   a repository with the package that stands for this machine
======================= ==========================================================================

A build is known by the submission that made it, never by its NVR alone: a stranger's module may build the
NVR of another. Beside the RPMs of a tagged build lies what was read of them when they were built, with their
digests (``.packages.json``).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from buildsys.base import BuildSystemError, Module, Tagged, TaskState
from buildsys.local.folders import TaskFolder
from buildsys.local.rpmfile import Package, read_facts, read_packages, read_slim
from buildsys.local.sandbox import remove_tree
from mbs.macros import PACKAGE

#: In the folder of a submission, and (hidden) in that of a tagged build: see ``write_facts``.
FACTS, _FACTS = "packages.json", ".packages.json"
_NVR = re.compile(r"[A-Za-z0-9_+~^][A-Za-z0-9_.+~^-]*")


@dataclass(frozen=True)
class ModuleFolder:
    """See the module's docstring.

    Attributes:
        root: The folder of the build system.
        tag: The module's tag.
    """

    root: Path
    tag: str

    @classmethod
    def of(cls, root: Path, module: Module) -> ModuleFolder:
        return cls(root, module.tag)

    @property
    def path(self) -> Path:
        # A stream may hold characters that a file name may not, or that lead elsewhere.
        name = quote(self.tag, safe="+")
        return self.root / "modules" / (f"%2E{name[1:]}" if name.startswith(".") else name)

    @property
    def repo(self) -> Path:
        return self.path / "repo"

    @property
    def host(self) -> Path:
        return self.path / "host"

    @property
    def views(self) -> Path:
        return self.path / "views"

    def prepare(self) -> None:
        for name in ("tasks", "built", "buildroot", "final"):
            (self.path / name).mkdir(parents=True, exist_ok=True)

    def add_task(self, number: int) -> None:
        (self.path / "tasks" / str(number)).touch()

    def tasks(self) -> list[int]:
        folder = self.path / "tasks"
        return [int(name) for name in os.listdir(folder)] if folder.exists() else []

    def publish(self, nvr: str, rpms: Path) -> None:
        """Record where the RPMs of an NVR lie. A later attempt of the same component takes its place."""
        link = self.path / "built" / _checked(nvr)
        new = link.with_name(f".{rpms.parent.name}")
        new.unlink(missing_ok=True)
        new.symlink_to(os.path.relpath(rpms, link.parent))
        new.replace(link)

    def built_by(self, nvr: str) -> int | None:
        """The number of the submission that made an NVR for this module, or None."""
        try:
            return int(Path(os.readlink(self.path / "built" / _checked(nvr))).parent.name)
        except FileNotFoundError:
            return None

    def tag_build(self, nvr: str, number: int | None = None, *, final: bool) -> None:
        """Put the RPMs of a build into the buildroot, and with ``final`` into the module.

        Args:
            number: Of the submission that built it; None: the build of this very module.

        Raises:
            BuildSystemError: ``unknown_build``, when no such submission has built this NVR;
                ``build_altered``, when its files are not those that were built.
        """
        number = self.built_by(nvr) if number is None else number
        build = None if number is None else Built.find(self.root, number, nvr)
        if build is None:
            raise BuildSystemError(
                f"There is no finished build {nvr} here that this module may use.",
                code="unknown_build",
                hint="Build it anew: submit the module with the rebuild strategy 'all'.",
            )
        for kind in ("buildroot", "final") if final else ("buildroot",):
            _link_build(build, self.path / kind / nvr)

    def tagged(self, nvrs: Iterable[str]) -> Tagged:
        known = {kind: frozenset(self.nvrs(kind)) for kind in ("buildroot", "final")}
        asked = frozenset(nvrs)
        return Tagged(buildroot=asked & known["buildroot"], final=asked & known["final"])

    def nvrs(self, kind: str) -> list[str]:
        """The NVRs in ``buildroot`` or ``final``."""
        folder = self.path / kind
        return sorted(name for name in os.listdir(folder) if name[0] != ".") if folder.exists() else []

    def packages(self, kind: str, nvr: str, *, slim: bool = False) -> Iterator[tuple[Path, Package]]:
        """The RPMs of a build in ``buildroot`` or ``final``, source RPMs too, and what they say.

        Args:
            slim: Without their dependencies and files.
        """
        folder = self.path / kind / _checked(nvr)
        facts = folder / _FACTS
        packages: Iterable[Package]
        if facts.exists():
            packages = read_slim(facts) if slim else read_facts(facts)
        else:
            # Tagged by a service that kept no facts.
            packages = read_packages(sorted(folder.glob("*.rpm")))
        for package in packages:
            yield folder / package.filename, package

    def facts_size(self, nvrs: Iterable[str]) -> int:
        """Bytes that are kept about builds in ``final``."""
        files = (self.path / "final" / _checked(nvr) / _FACTS for nvr in nvrs)
        return sum(file.stat().st_size for file in files if file.exists())

    def content(self) -> Iterator[tuple[Path, Package]]:
        """The binary RPMs of the finished module, and what they say."""
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
        facts: What was read of them when they were built, in a file.
    """

    rpms: Path
    facts: Path

    @classmethod
    def find(cls, root: Path, number: int, nvr: str) -> Built | None:
        """The build that a submission made, when that is this NVR and its digests were recorded."""
        task = TaskFolder(root / "tasks" / str(number))
        outcome = task.outcome()
        if outcome is None or outcome.state is not TaskState.COMPLETE or outcome.nvr != _checked(nvr):
            return None
        build = cls(task.rpms, task.path / FACTS)
        return build if build.facts.exists() and build.rpms.is_dir() else None


def _checked(nvr: str) -> str:
    """An NVR that is to be part of a path."""
    if not _NVR.fullmatch(nvr):
        raise BuildSystemError(f"{nvr[:100]!r} is no name-version-release.", code="unknown_build")
    return nvr


def altered(path: Path) -> BuildSystemError:
    """The refusal of a file that is not what was built."""
    return BuildSystemError(
        f"{path.name} is not the file that was built: its digest is another one.",
        code="build_altered",
        hint="Find out what has changed it, and build the module anew with the rebuild strategy 'all'.",
    )


def _link_build(build: Built, target: Path) -> None:
    """Make ``target`` a folder of hard links to the RPMs of a build, at once or not at all."""
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
            # Another process got there first.
            if not target.exists():
                raise
    finally:
        remove_tree(new)


def installable(rpms: Iterable[tuple[Path, Package]]) -> list[tuple[Path, Package]]:
    """The RPMs that are installed in the view of a build: without source and debugging packages, and without
    what the macros package conflicts with (``koji.md``, point 2).

    Args:
        rpms: Read once.

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
