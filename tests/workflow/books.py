"""What the simulated build system has in its books."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from builds.models import ComponentBuild, ModuleBuild
from buildsys.simulated import SimulatedBuildSystem


def _query(folder: Path, sql: str) -> list[tuple]:
    with sqlite3.connect(folder / "simulated.sqlite3", timeout=30) as books:
        return books.execute(sql).fetchall()


def submissions(folder: Path, *builds: ModuleBuild) -> list[tuple[ComponentBuild, str]]:
    """Components and the states of their submissions, in the order of these; of some builds, or of all."""
    rows = ComponentBuild.objects.filter(module_build__in=builds) if builds else ComponentBuild.objects.all()
    components = {component.pk: component for component in rows.select_related("module_build")}
    known = _query(folder, "SELECT component, state FROM task WHERE attempt NOTNULL ORDER BY id")
    return [(components[number], state) for number, state in known if number in components]


def states(folder: Path, build: ModuleBuild) -> dict[str, list[str]]:
    """Package -> states of its submissions, the oldest first."""
    found: dict[str, list[str]] = {}
    for component, state in submissions(folder, build):
        found.setdefault(component.package, []).append(state)
    return found


def most_at_once(folder: Path) -> int:
    """The largest number of submissions that were open at one moment."""
    spans = _query(folder, "SELECT started, ends FROM task WHERE attempt NOTNULL")
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


def end(folder: Path, task_id: int, nvr: str = "", state: str = "complete") -> None:
    """Have the build system say that a submission has ended; one that it does not know is made up.

    Args:
        nvr: Of what was built; empty: what the books have.
    """
    SimulatedBuildSystem(folder / "simulated.sqlite3", send=lambda number, delay: None)
    with sqlite3.connect(folder / "simulated.sqlite3", timeout=30) as books:
        books.execute(
            "INSERT INTO task (id, wakes, nvr, state, started, ends) VALUES (?, '', ?, ?, 1, 2)"
            " ON CONFLICT (id) DO UPDATE"
            " SET state = excluded.state, nvr = coalesce(nullif(excluded.nvr, ''), nvr)",
            (task_id, nvr, state),
        )
