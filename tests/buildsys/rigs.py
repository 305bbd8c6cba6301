"""Test rigs that adapt every build system to the contract suite."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

from buildsys.base import BuildSystem, Job, Module, RepoState, Submission, TaskState, TaskStatus
from buildsys.koji.options import KojiOptions
from buildsys.koji.session import Access
from buildsys.koji.system import KojiBuildSystem
from buildsys.koji.tags import TagOptions
from buildsys.local.system import LocalBuildSystem
from buildsys.simulated import SimulatedBuildSystem
from mbs.macros import PACKAGE
from tests.buildsys.koji.double import HubDouble
from tests.buildsys.packages import module, spec

COMMIT = "0123456789012345678901234567890123456789"


@dataclass
class Rig:
    """A build system whose builds a test can end. The package ``fails-always`` never builds."""

    system: Any
    arches: tuple[str, ...]
    base_tag: str = "platform-build"

    def module(self, version: str = "1", **changes: object) -> Module:
        """Return a module that is prepared to build ``one``, ``two`` and ``fails-always``."""
        made = module(
            id=int(version),
            version=version,
            tag=f"module-tiny-1-{version}-c0ffee12",
            disttag=f"module+el9+{version}+0a1b2c3d",
            arches=self.arches,
            buildrequires={"platform": {"stream": "el9", "koji_tag": self.base_tag}},
        )
        made = replace(made, **changes)
        self.system.prepare(made, ["one", "two", "fails-always"])
        return made

    def job(self, of: Module, component: int, package: str, *, attempt: int = 1) -> Job:
        """Return a job for a component."""
        source = f"https://git.example.org/rpms/{package}#{COMMIT}"
        return Job(component, attempt, of, package, source=source)

    def end(self, submissions: Sequence[Submission]) -> list[TaskStatus]:
        """Wait until submissions have ended; return their statuses."""
        end = time.monotonic() + 10
        while True:
            statuses: list[TaskStatus] = self.system.statuses([each.task_id for each in submissions])
            if all(status.state is not TaskState.OPEN for status in statuses):
                return statuses
            assert time.monotonic() < end, statuses
            time.sleep(0.01)

    def write_log(self, submission: Submission, text: str = "first line\nsecond line\n") -> None:
        """Have a submission write to its log, where building it does not do so by itself."""

    def whole_log(self, submission: Submission, size: int = 50) -> bytes:
        """All of the first log of a submission, read in parts of ``size`` bytes."""
        name, data = self.system.logs(submission.task_id)[0].name, b""
        while True:
            part = self.system.read_log(submission.task_id, name, len(data), len(data) + size)
            assert part.start == len(data)
            assert len(part.data) <= size
            data += part.data
            if len(data) >= part.size:
                return data

    def build(self, job: Job) -> str:
        """Build a job that must succeed; return its NVR."""
        (status,) = self.end(self.system.submit([job]))
        assert status.state is TaskState.COMPLETE, status
        return status.nvr

    def tag(self, of: Module, nvrs: list[str], *, final: bool = True) -> None:
        """Tag builds and wait until they are tagged."""
        end = time.monotonic() + 10
        while True:
            self.system.tag(of, nvrs, final=final)
            tagged = self.system.tagged(of, nvrs)
            if set(nvrs) <= (tagged.buildroot & tagged.final if final else tagged.buildroot):
                return
            assert time.monotonic() < end, tagged
            time.sleep(0.01)

    def repo(self, of: Module, nvrs: list[str]) -> Any:
        """Request a repository and wait for it; return its status."""
        request = self.system.request_repo(of)
        end = time.monotonic() + 10
        while (status := self.system.repo_status(of, request, nvrs)).state is RepoState.OPEN:
            assert time.monotonic() < end
            time.sleep(0.01)
        return status


@dataclass
class KojiRig(Rig):
    """A rig for Koji. Its modules have the macros package in their buildroot, as after the first batch."""

    double: HubDouble = field(default_factory=HubDouble)

    def module(self, version: str = "1", **changes: object) -> Module:
        """Return a prepared module with a macros package."""
        made = super().module(version, **changes)
        with self.double.lock:
            macros = self.double.books.new_build(f"{PACKAGE}-0.1-1.{made.disttag}", "COMPLETE")
            self.double.put(self.double.books.tags[f"{made.tag}-build"], macros)
        return made

    def write_log(self, submission: Submission, text: str = "first line\nsecond line\n") -> None:
        """As a builder does: in a subtask, which ends when the build has."""
        with self.double.lock:
            books = self.double.books
            parent = books.tasks[submission.task_id]
            known = [task for task in books.tasks.values() if task.parent == parent.id]
            task = known[0] if known else books.make_task("buildArch", [], parent.owner, lambda _: None)
            task.parent, task.ends = parent.id, inf
            task.output["build.log"] = task.output.get("build.log", "") + text


class LocalRig(Rig):
    """A rig for local builds, which runs them itself. Its jobs contain spec files."""

    def job(self, of: Module, component: int, package: str, *, attempt: int = 1) -> Job:
        """Return a job with a spec file."""
        text = spec(package, build="false" if package.startswith("fails-") else "", of=of)
        return Job(component, attempt, of, package, spec=text)

    def end(self, submissions: Sequence[Submission]) -> list[TaskStatus]:
        """Run submissions; return their statuses."""
        for submission in submissions:
            self.system.run(submission.task_id)
        return super().end(submissions)


def simulated(folder: Path) -> Iterator[Rig]:
    """Yield a rig for the simulated build system."""
    system = SimulatedBuildSystem(
        folder / "books.sqlite3", send=lambda number, delay: None, build_seconds=0.2, repo_seconds=0.02
    )
    yield Rig(system, ("x86_64",))


def local(folder: Path) -> Iterator[Rig]:
    """Yield a rig for the local build system."""
    system = LocalBuildSystem(folder / "local", send=lambda number, delay: None)
    rig = LocalRig(system, ())
    rig.arches = system.arches(module())
    yield rig


def koji(folder: Path) -> Iterator[Rig]:
    """Yield a rig for Koji."""
    double = HubDouble(build_seconds=0.2, repo_seconds=0.02, tag_seconds=0.02).start()
    yield KojiRig(koji_system(double, folder), ("x86_64",), double=double)
    double.stop()


def koji_system(double: HubDouble, folder: Path, *, timeout: float = 20, **options: Any) -> KojiBuildSystem:
    """Return a build system that uses a hub double, and waits ``timeout`` seconds for a call."""
    config = double.write_profile(folder / "koji.conf")
    access = Access(config, "koji", user="mbs", password="mbs", timeout=timeout, retry_interval=0.01)
    values: dict[str, Any] = {"access": access, "tags": TagOptions("module-tags"), **options}
    return KojiBuildSystem(KojiOptions(**values))


RIGS = {"simulated": simulated, "local": local, "koji": koji}


def check_protocol(system: BuildSystem) -> BuildSystem:
    """Let the type checker verify that a system implements the protocol."""
    return system
