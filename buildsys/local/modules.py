"""The folder of one module build: what was built for it, its buildroot, and its content.

======================= ==========================================================================
module.json             the module build, as the service knows it
tasks/NUMBER            empty; the submissions that belong to it
built/NVR               link to the folder of the RPMs that a submission made
buildroot/NVR/          hard links: what later batches see
final/NVR/              hard links: what the module holds
views/                  extracted packages for the sandboxes
repo/                   the finished yum repository
======================= ==========================================================================
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from buildsys.base import BuildSystemError, Module, Tagged
from buildsys.local.rpmfile import Package, read_package
from buildsys.local.sandbox import remove_tree
from mbs.macros import PACKAGE

_NVR = re.compile(r"[A-Za-z0-9_+~^][A-Za-z0-9_.+~^-]*")


@dataclass(frozen=True)
class ModuleFolder:
    """See the module's docstring.

    :param root: the folder of the build system.
    :param tag: the module's tag.
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

    def rpms_of(self, nvr: str) -> Path:
        """The folder of an NVR's RPMs: built for this module, else taken over from another one.

        :raises BuildSystemError: ``unknown_build``.
        """
        for folder in (self.path, *sorted(self.path.parent.iterdir())):
            rpms = folder / "built" / _checked(nvr)
            if rpms.is_dir():
                return rpms
        raise BuildSystemError(
            f"There is no finished build {nvr} here.", code="unknown_build", hint="Build it anew."
        )

    def tag_build(self, nvr: str, *, final: bool) -> None:
        """Put the RPMs of an NVR into the buildroot, and with ``final`` into the module."""
        source = self.rpms_of(nvr)
        for kind in ("buildroot", "final") if final else ("buildroot",):
            _link_folder(source, self.path / kind / nvr)

    def tagged(self, nvrs: Iterable[str]) -> Tagged:
        known = {kind: frozenset(self.nvrs(kind)) for kind in ("buildroot", "final")}
        asked = frozenset(nvrs)
        return Tagged(buildroot=asked & known["buildroot"], final=asked & known["final"])

    def nvrs(self, kind: str) -> list[str]:
        """The NVRs in ``buildroot`` or ``final``."""
        folder = self.path / kind
        return sorted(name for name in os.listdir(folder) if name[0] != ".") if folder.exists() else []

    def rpms(self, kind: str, nvrs: Iterable[str] | None = None) -> list[Path]:
        """All RPM files in ``buildroot`` or ``final``, source RPMs too."""
        names = self.nvrs(kind) if nvrs is None else sorted(nvrs)
        return [path for nvr in names for path in sorted((self.path / kind / _checked(nvr)).glob("*.rpm"))]


def _checked(nvr: str) -> str:
    """An NVR that is to be part of a path."""
    if not _NVR.fullmatch(nvr):
        raise BuildSystemError(f"{nvr[:100]!r} is no name-version-release.", code="unknown_build")
    return nvr


def _link_folder(source: Path, target: Path) -> None:
    """Make ``target`` a folder of hard links to the files of ``source``, at once or not at all."""
    if target.exists():
        return
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    new.chmod(0o755)
    for path in source.iterdir():
        os.link(path, new / path.name)
    try:
        new.rename(target)
    except OSError:
        remove_tree(new)
        if not target.exists():
            raise


def installable(paths: Sequence[Path]) -> list[tuple[Path, Package]]:
    """The RPMs that are installed in the view of a build: without source and debugging packages, and without
    what the macros package conflicts with (``koji.md``, point 2)."""
    packages = [(path, read_package(path)) for path in paths]
    unwanted = {
        (conflict.name, conflict.evr if ":" in conflict.evr else f"0:{conflict.evr}" * bool(conflict.evr))
        for _, package in packages
        if package.name == PACKAGE
        for conflict in package.conflicts
    }
    return [
        (path, package)
        for path, package in packages
        if package.arch != "src"
        and not package.is_debug
        and unwanted.isdisjoint({(package.name, ""), (package.name, package.evr)})
    ]
