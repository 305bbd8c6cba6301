"""Runs one submission: sources, source RPM, build requirements, binary RPMs, results."""

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

#: Requirements that a message names, and characters of each.
_NAMED, _SHOWN = 20, 200
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
cpus=$1
shift
exec rpmbuild --rebuild --nodeps "$@" --define "_topdir /builddir/build" --define "_rpmdir /builddir/rpms" \\
    --define "_srcrpmdir /builddir/srpms" --define "_smp_build_ncpus $cpus" -- /input/srpm/*.src.rpm
"""


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
    :param installed: gives the packages in the view one at a time, since all that they say may be much.
    :param cpus: how many processes ``make`` may run at once.
    :param stop: answers a reason to give up, or nothing.
    """

    task: TaskFolder
    job: Job
    sandbox: Sandbox
    installed: Callable[[], Iterable[Package]]
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
        sources = collect(made / "srpms", self.task.path / "srpm")
        if len(sources) != 1 or sources[0].arch != "src":
            raise BuildFailed("The spec file did not make exactly one source RPM.")
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
            raise BuildFailed(f"rpmbuild {ending(code)} while making the {what}{self._because()}")
        return work

    def _because(self) -> str:
        """The line of the log that explains why a stage failed, as the end of a sentence."""
        found = excerpt_of_file(self.task.log)
        return f": {found.cause}" if found else "."

    def _check_requirements(self, source: Package) -> None:
        lacking = missing(source.requires, self.installed())
        if lacking:
            raise BuildFailed(
                f"Build requirements are not met: {_listed(lacking)}. Neither an earlier batch nor this "
                "machine provides them: put what provides them into an earlier batch, or install it here."
            )
        against = conflicting(source.conflicts, self.installed())
        if against:
            raise BuildFailed(f"An earlier batch has what the spec file conflicts with: {_listed(against)}.")

    def _publish(self, source: Package, built: Sequence[Package]) -> None:
        """Make the results visible, with what was read of them. The end is recorded after that."""
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
    """Remove what is not a result. Nothing may be building there."""
    for name in ("work", "root", "srpm", "built", "check", "inputs"):
        remove_tree(task.path / name)
