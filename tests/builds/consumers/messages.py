"""Make messages with all keys of the schemas that Koji publishes."""

from __future__ import annotations

from typing import Any

PREFIX = "org.fedoraproject.prod"
BUILD = f"{PREFIX}.buildsys.build.state.change"
TAG = f"{PREFIX}.buildsys.tag"
REPO = f"{PREFIX}.buildsys.repo.done"
TASK = f"{PREFIX}.buildsys.task.state.change"


def build_changed(
    task_id: int | None, new: int, nvr: str = "bash-5.2-1.fc40", **changes: Any
) -> dict[str, Any]:
    """Return a message about a build's new state."""
    return {
        **_build(nvr),
        "epoch": None,
        "attribute": "state",
        "old": 0,
        "new": new,
        "task_id": task_id,
        "task": None if task_id is None else task_info(task_id),
        "request": None,
        "owner": "mbs",
        "instance": "primary",
        "url": "https://koji.example.com/koji/buildinfo?buildID=1",
        "creation_time": "2024-01-01T00:00:00+00:00",
        "completion_time": None,
        **changes,
    }


def tagged(tag: str, nvr: str, **changes: Any) -> dict[str, Any]:
    """Return a message about a tagged build."""
    return {
        **_build(nvr),
        "tag": tag,
        "tag_id": 5,
        "user": "mbs",
        "owner": "mbs",
        "instance": "primary",
        **changes,
    }


def _build(nvr: str) -> dict[str, Any]:
    name, version, release = nvr.rsplit("-", 2)
    return {"build_id": 1, "name": name, "version": version, "release": release}


def repo_done(tag: str, **changes: Any) -> dict[str, Any]:
    """Return a message about a regenerated repository."""
    return {"tag": tag, "tag_id": 5, "repo_id": 6, "instance": "primary", **changes}


def task_changed(task_id: int, new: str, **changes: Any) -> dict[str, Any]:
    """Return a message about a task's new state."""
    return {
        "id": task_id,
        "info": task_info(task_id),
        "method": "build",
        "attribute": "state",
        "old": "OPEN",
        "new": new,
        "srpm": "bash",
        "owner": "mbs",
        "base_url": "https://koji.example.com/koji",
        "files_base_url": "https://kojipkgs.example.com",
        "instance": "primary",
        **changes,
    }


def task_info(task_id: int) -> dict[str, Any]:
    """Return the description of a task."""
    return {"id": task_id, "method": "build", "host_id": None, "arch": "noarch", "result": None}
