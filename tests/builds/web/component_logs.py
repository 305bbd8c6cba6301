"""Logs of components of a local build system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builds.models import ComponentBuild
from builds.services.logs import components
from buildsys.local.system import LocalBuildSystem
from mbs.states import BuildState, ComponentState
from tests.factories import component_build, module_build


def open_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the log of the submission 7 of a local build system."""
    system = LocalBuildSystem(folder / "local", send=lambda number, delay: None)
    monkeypatch.setattr(components, "build_system", lambda: system)
    task = folder / "local" / "tasks" / "7"
    task.mkdir(parents=True)
    return task / "build.log"


def end(log: Path, state: str = "complete") -> None:
    """Record the end of the build that writes a log."""
    text = json.dumps({"state": state, "nvr": "", "reason": "", "started": 1.0, "ended": 2.0})
    (log.parent / "result.json").write_text(text)


def row(**values: Any) -> ComponentBuild:
    """Create a component that the submission 7 builds."""
    values = {"package": "libfoo", "task_id": 7, "state": ComponentState.COMPLETE, **values}
    return component_build(module_build(state=BuildState.BUILD), **values)


def address(component: ComponentBuild, query: str = "") -> str:
    """Return the address of the page of its log."""
    return f"/builds/{component.module_build_id}/{component.package}/log{query}"
