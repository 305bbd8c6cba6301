"""Read and change the state of the simulated build system."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from builds.models import ComponentBuild, ModuleBuild
from buildsys.simulated import SimulatedBuildSystem


def _query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "simulated.sqlite3", timeout=30) as books:
        return books.execute(sql).fetchall()


def submissions(folder: Path, *builds: ModuleBuild) -> list[tuple[ComponentBuild, str]]:
    """Return components and the states of their submissions in order, for some builds or all."""
    rows = ComponentBuild.objects.filter(module_build__in=builds) if builds else ComponentBuild.objects.all()
    components = {component.pk: component for component in rows.select_related("module_build")}
    known = _query(folder, "SELECT component, state FROM task WHERE attempt NOTNULL ORDER BY id")
    return [(components[number], state) for number, state in known if number in components]


def states(folder: Path, build: ModuleBuild) -> dict[str, list[str]]:
    """Return package -> states of its submissions, oldest first."""
    found: dict[str, list[str]] = {}
    for component, state in submissions(folder, build):
        found.setdefault(component.package, []).append(state)
    return found


def most_at_once(folder: Path) -> int:
    """Return the maximum number of concurrently open submissions."""
    spans = _query(folder, "SELECT started, ends FROM task WHERE attempt NOTNULL")
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


def end(folder: Path, task_id: int, nvr: str = "", state: str = "complete") -> None:
    """End a submission; an unknown one is added.

    Args:
        nvr: NVR of the build; empty to keep that of the submission.
    """
    SimulatedBuildSystem(folder / "simulated.sqlite3", send=lambda number, delay: None)
    with sqlite3.connect(folder / "simulated.sqlite3", timeout=30) as books:
        books.execute(
            "INSERT INTO task (id, wakes, nvr, state, started, ends) VALUES (?, '', ?, ?, 1, 2)"
            " ON CONFLICT (id) DO UPDATE"
            " SET state = excluded.state, nvr = coalesce(nullif(excluded.nvr, ''), nvr)",
            (task_id, nvr, state),
        )
