"""Run one submission: source RPM, build requirements, binary RPMs, results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from buildsys.base import BuildSystemError, Job
from buildsys.excerpts import excerpt_of_file
from buildsys.local.endings import ending
from buildsys.local.folders import TaskFolder
from buildsys.local.host import rpmbuild_options
from buildsys.local.modules import FACTS
from buildsys.local.repodata import check_readable
from buildsys.local.requirements import conflicting, missing
from buildsys.local.results import BuildFailed, check_built, check_source, collect
from buildsys.local.rpmfile import Package, write_facts
from buildsys.local.sandbox import BoundedLog, Sandbox, remove_tree

#: Max requirements in a message, and max characters of each.
_NAMED, _SHOWN = 20, 200
#: The folder of sources in dist-git repositories whose spec file is in SPECS.
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
cpus=$1
shift
exec rpmbuild --rebuild --nodeps "$@" --define "_topdir /builddir/build" --define "_rpmdir /builddir/rpms" \\
    --define "_srcrpmdir /builddir/srpms" --define "_smp_build_ncpus $cpus" -- /input/srpm/*.src.rpm
"""


@dataclass(frozen=True)
class Inputs:
    """The parts of a source RPM.

    Attributes:
        files: Folder with files for the source folder: lookaside sources, or the spec file itself.
        spec: Path of the spec file in the repository, or its name in ``files``.
        git: Bare repository with ``commit``, or None.
    """

    files: Path
    spec: str
    git: Path | None = None
    commit: str = ""

    @property
    def arguments(self) -> tuple[str, str, str]:
        """Arguments of the script that makes the source RPM."""
        return self.spec, self.commit, SOURCES if "/" in self.spec else "."


@dataclass(frozen=True)
class Run:
    """A build in progress.

    Attributes:
        sandbox: Provides view, limits and user; its folders are set here.
        installed: Yields the packages in the view one at a time, because their metadata is large.
        cpus: Max parallel processes of ``make``.
        stop: Returns a reason to stop the build, or an empty text.
    """

    task: TaskFolder
    job: Job
    sandbox: Sandbox
    installed: Callable[[], Iterable[Package]]
    cpus: int
    log: BoundedLog
    stop: Callable[[], str]

    def build(self, inputs: Inputs) -> str:
        """Run the build, leave its RPMs in ``task.rpms`` and return the NVR.

        Raises:
            BuildFailed: It cannot be built.
            Stopped: It exceeded a limit, or ``stop`` returned a reason.
        """
        deadline = time.monotonic() + self.sandbox.limits.seconds
        readonly = {"/input/files": inputs.files}
        if inputs.git:
            readonly["/input/git"] = inputs.git
        made = self._run("source RPM", _SOURCE_RPM, inputs.arguments, readonly, deadline)
        sources = collect(made / "srpms", self.task.path / "srpm")
        if len(sources) != 1 or sources[0].arch != "src":
            raise BuildFailed("The spec file does not result in exactly one source RPM.")
        source = sources[0]
        check_source(self.job, source)
        self._check_requirements(source)
        readonly = {"/input/srpm": self.task.path / "srpm"}
        arguments = (str(self.cpus), *rpmbuild_options())
        made = self._run("binary RPMs", _BINARY_RPMS, arguments, readonly, deadline)
        built = collect(made / "rpms", self.task.path / "built")
        check_built(self.job, source, built)
        self._publish(source, built)
        return source.nvr

    def _run(
        self, what: str, script: str, args: Sequence[str], readonly: Mapping[str, Path], deadline: float
    ) -> Path:
        """Run one stage in a new work folder, and return that folder."""
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
            raise BuildFailed(f"rpmbuild {ending(code)} while making the {what}{self._because()}")
        return work

    def _because(self) -> str:
        """Return the line of the log that explains a failure, as the end of a sentence."""
        found = excerpt_of_file(self.task.log)
        return f": {found.cause}" if found else "."

    def _check_requirements(self, source: Package) -> None:
        lacking = missing(source.requires, self.installed())
        if lacking:
            raise BuildFailed(
                f"Build requirements are not met: {_listed(lacking)}. Neither an earlier batch nor this "
                "machine provides them. Add a component that does to an earlier batch, or install it here."
            )
        against = conflicting(source.conflicts, self.installed())
        if against:
            raise BuildFailed(
                f"Build conflicts of the spec file match packages of an earlier batch: {_listed(against)}."
            )

    def _publish(self, source: Package, built: Sequence[Package]) -> None:
        """Publish the results with their metadata. The outcome is recorded afterwards."""
        folder = self.task.path / "built"
        (self.task.path / "srpm" / source.filename).rename(folder / source.filename)
        try:
            check_readable(folder, self.task.path / "check", self.sandbox, self.stop)
        except BuildSystemError as error:
            raise BuildFailed(error.message) from None
        write_facts(self.task.path / FACTS, [*built, source])
        remove_tree(self.task.rpms)
        folder.rename(self.task.rpms)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name[:_SHOWN] for name in names[:_NAMED]) + more


def clean(task: TaskFolder) -> None:
    """Remove everything but the results. No build may be running."""
    for name in ("work", "root", "srpm", "built", "check", "inputs"):
        remove_tree(task.path / name)
