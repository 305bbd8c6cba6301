"""The simulated build system, beyond the contract of all build systems."""

from __future__ import annotations

from pathlib import Path

from buildsys.base import Job, TaskState
from buildsys.simulated import SimulatedBuildSystem
from tests.buildsys.packages import module


def test_the_name_of_a_package_sets_how_long_its_build_takes(tmp_path: Path) -> None:
    sent: list[tuple[int, float]] = []
    system = SimulatedBuildSystem(
        tmp_path / "books.sqlite3", send=lambda number, delay: sent.append((number, delay))
    )
    jobs = [Job(1, 1, module(), "takes-250.5-slow"), Job(2, 1, module(), "quick")]
    slow, quick = system.submit(jobs)
    assert sent == [(slow.task_id, 250.5)]
    states = [status.state for status in system.statuses([slow.task_id, quick.task_id])]
    assert states == [TaskState.OPEN, TaskState.COMPLETE]
