"""A worker that dies after any request to the hub: the next run finishes the job without duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from buildsys.base import BuildSystemUnavailable, RepoState
from mbs.macros import PACKAGE
from tests.buildsys.koji.double import HubDouble
from tests.buildsys.koji.double.state import TASK
from tests.buildsys.rigs import KojiRig, Rig, koji_system

T = TypeVar("T")
NSVC = "tiny-1-1.c0ffee12"


class _Life:
    """Makes calls until they succeed, each time as a worker that was just started."""

    def __init__(self, double: HubDouble, folder: Path) -> None:
        self.double = double
        self.folder = folder
        self.deaths = 0
        self.rig = self._born()

    def _born(self) -> KojiRig:
        return KojiRig(koji_system(self.double, self.folder), ("x86_64",), double=self.double)

    def insist(self, work: Callable[[KojiRig], T]) -> T:
        while True:
            try:
                return work(self.rig)
            except BuildSystemUnavailable:
                self.deaths += 1
                self.rig = self._born()


def _build_module(life: _Life) -> None:
    """A module build from its first tag to its import."""
    made = life.insist(lambda rig: Rig.module(rig))
    with life.double.lock:
        macros = life.double.books.build(f"{PACKAGE}-0.1-1.{made.disttag}")
        macros = macros or life.double.books.new_build(f"{PACKAGE}-0.1-1.{made.disttag}", "COMPLETE")
    life.insist(lambda rig: rig.tag(made, [macros["nvr"]], final=False))
    jobs = [life.rig.job(made, 1, "one"), life.rig.job(made, 2, "two")]
    statuses = life.insist(lambda rig: rig.end(rig.system.submit(jobs)))
    nvrs = {job.package: status.nvr for job, status in zip(jobs, statuses, strict=True)}
    life.insist(lambda rig: rig.tag(made, list(nvrs.values())))
    status = life.insist(lambda rig: rig.repo(made, list(nvrs.values())))
    assert status.state is RepoState.READY
    life.insist(lambda rig: rig.system.finalize(made, nvrs))


@pytest.mark.parametrize("death", range(1, 36, 2))
def test_nothing_is_doubled_wherever_the_worker_died(tmp_path: Path, death: int) -> None:
    double = HubDouble().start()
    double.faults.drop = [""] * death + ["after"] * 2
    life = _Life(double, tmp_path)
    try:
        _build_module(life)
        double.books.tick()
        tasks = Counter(task.method for task in double.books.tasks.values())
        failed = [task.method for task in double.books.tasks.values() if task.state == TASK["FAILED"]]
        assert (tasks["build"], failed) == (2, [])
        # The macros into the buildroot, two builds into both tags, two imports into one.
        assert tasks["tagBuild"] == 1 + 2 * 2 + 2
        assert len([row for row in double.books.builds.values() if row["name"].startswith("tiny")]) == 2
        assert [tag["name"] for tag in double.listTags(double.callers["mbs"], NSVC)] == [
            "modular-updates-candidate"
        ]
        assert life.deaths
    finally:
        double.stop()
