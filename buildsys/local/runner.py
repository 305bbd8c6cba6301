"""Runs one submission: sources, source RPM, build requirements, binary RPMs, results."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from buildsys.base import Job
from buildsys.local.folders import TaskFolder
from buildsys.local.requirements import conflicting, missing
from buildsys.local.rpmfile import Package, read_package
from buildsys.local.sandbox import BoundedLog, Sandbox, remove_tree

_MAX_RESULTS = 10_000
#: Of one package; each is looked up on the host.
_MAX_REQUIREMENTS = 10_000
#: Where the other layout of dist-git has its sources; its spec file is in SPECS then.
SOURCES = "SOURCES"
#: ``$1`` is the spec file, ``$2`` the commit, ``$3`` the folder of sources.
_SOURCE_RPM = """
mkdir -p "tree/$3" srpms
if [ -d /input/git ]; then
    export GIT_INDEX_FILE=/builddir/.index GIT_CONFIG_NOSYSTEM=1
    git -c safe.directory='*' -c core.hooksPath=/dev/null --git-dir=/input/git \\
        --work-tree=/builddir/tree checkout --force --quiet "$2" -- .
fi
cp -R /input/files/. "tree/$3"
exec rpmbuild -bs --nodeps --define "_topdir /builddir/build" --define "_sourcedir /builddir/tree/$3" \\
    --define "_srcrpmdir /builddir/srpms" -- "tree/$1"
"""
_BINARY_RPMS = """
mkdir -p rpms
exec rpmbuild --rebuild --nodeps --define "_topdir /builddir/build" --define "_rpmdir /builddir/rpms" \\
    --define "_srcrpmdir /builddir/srpms" --define "_smp_build_ncpus $1" -- /input/srpm/*.src.rpm
"""


class BuildFailed(Exception):
    """The build ended without RPMs; the message says why, for people."""


@dataclass(frozen=True)
class Inputs:
    """What a source RPM is made of.

    :param files: folder with files for the source folder: lookaside sources, or the spec itself.
    :param git: bare repository that holds ``commit``; or None.
    :param spec: path of the spec file in the repository, or its name in ``files``.
    """

    files: Path
    spec: str
    git: Path | None = None
    commit: str = ""

    @property
    def arguments(self) -> tuple[str, str, str]:
        """Of the script that makes the source RPM."""
        return self.spec, self.commit, SOURCES if "/" in self.spec else "."


@dataclass(frozen=True)
class Run:
    """One build on its way.

    :param sandbox: with the view, limits and user; its folders are set here.
    :param installed: the packages in the view.
    :param cpus: how many processes ``make`` may run at once.
    :param stop: answers a reason to give up, or nothing.
    """

    task: TaskFolder
    job: Job
    sandbox: Sandbox
    installed: Sequence[Package]
    cpus: int
    log: BoundedLog
    stop: Callable[[], str]

    def build(self, inputs: Inputs) -> str:
        """Build to the end; the RPMs are in ``task.rpms`` then. Answers the NVR.

        :raises BuildFailed: when it cannot be built.
        :raises Stopped: when a limit was hit or ``stop`` had a reason.
        """
        deadline = time.monotonic() + self.sandbox.limits.seconds
        readonly = {"/input/files": inputs.files}
        if inputs.git:
            readonly["/input/git"] = inputs.git
        made = self._run("source RPM", _SOURCE_RPM, inputs.arguments, readonly, deadline)
        sources = self._collect(made / "srpms", self.task.path / "srpm")
        if len(sources) != 1 or sources[0].arch != "src":
            raise BuildFailed("The spec file did not make exactly one source RPM.")
        source = sources[0]
        self._check(source)
        readonly = {"/input/srpm": self.task.path / "srpm"}
        made = self._run("binary RPMs", _BINARY_RPMS, (str(self.cpus),), readonly, deadline)
        built = self._collect(made / "rpms", self.task.path / "built")
        self._check_results(source, built)
        self._publish()
        return source.nvr

    def _run(
        self, what: str, script: str, args: Sequence[str], readonly: Mapping[str, Path], deadline: float
    ) -> Path:
        """Run one stage in a fresh work folder, and answer that folder."""
        work = self.task.path / "work"
        sandbox = replace(self.sandbox, work=work, readonly=readonly)
        sandbox.prepare()
        self.log.say(f"{self.job.package}: {what}")
        env = {"RPM_BUILD_NCPUS": str(self.cpus)}
        code = sandbox.run(
            ["/bin/sh", "-e", "-c", script, "build", *args],
            self.log,
            deadline=deadline,
            stop=self.stop,
            env=env,
        )
        if code:
            said = [line for line in self.log.recent() if "error:" in line.lower() or "sandbox:" in line]
            because = f": {said[-1].strip()[:300]}" if said else "."
            raise BuildFailed(f"rpmbuild ended with code {code} while making the {what}{because}")
        return work

    def _collect(self, source: Path, target: Path) -> list[Package]:
        """Move the RPMs that a build left out of its reach; it may have left anything else there too."""
        remove_tree(target)
        target.mkdir()
        packages: list[Package] = []
        if source.is_symlink():
            return []
        for folder, _, names in os.walk(source):
            for name in names:
                path = Path(folder, name)
                if not name.endswith(".rpm") or not stat.S_ISREG(path.lstat().st_mode):
                    continue
                package = read_package(path)
                if len(package.requires) > _MAX_REQUIREMENTS:
                    raise BuildFailed(f"{package.filename} requires more than {_MAX_REQUIREMENTS} things.")
                moved = target / package.filename
                if moved.exists() or len(packages) == _MAX_RESULTS:
                    raise BuildFailed(f"The build made too many packages, or {moved.name} twice.")
                path.rename(moved)
                if os.geteuid() == 0:
                    os.chown(moved, 0, 0)
                moved.chmod(0o644)
                packages.append(package)
        return packages

    def _check(self, source: Package) -> None:
        if source.name != self.job.package:
            raise BuildFailed(
                f"The spec file is of the package {source.name}, the module says {self.job.package}."
            )
        lacking = missing(source.requires, self.installed)
        if lacking:
            raise BuildFailed(
                f"Build requirements are not met: {', '.join(lacking)}. Neither an earlier batch nor this "
                "machine provides them: put what provides them into an earlier batch, or install it here."
            )
        against = conflicting(source.conflicts, self.installed)
        if against:
            raise BuildFailed(
                f"An earlier batch has what the spec file conflicts with: {', '.join(against)}."
            )

    def _check_results(self, source: Package, built: Sequence[Package]) -> None:
        if not built:
            raise BuildFailed("The build made no binary RPM.")
        for package in built:
            if package.sourcerpm != source.filename:
                raise BuildFailed(f"{package.filename} was not built from {source.filename}.")

    def _publish(self) -> None:
        (source,) = (self.task.path / "srpm").iterdir()
        source.rename(self.task.path / "built" / source.name)
        remove_tree(self.task.rpms)
        (self.task.path / "built").rename(self.task.rpms)


def clean(task: TaskFolder) -> None:
    """Remove what is not a result. Nothing may be building there."""
    for name in ("work", "root", "srpm", "built", "inputs"):
        remove_tree(task.path / name)
