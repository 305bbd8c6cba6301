"""Explain failures of builds from the logs that the hub keeps of their tasks."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

import koji

from buildsys.excerpts import Excerpt, excerpt
from buildsys.koji.session import Hub, failure, outcome, succeeded

#: Bytes to read of a log, from its end.
_PART = 256 << 10
#: Max subtasks whose logs are read: architectures mostly fail for the same reason.
_MAX_SUBTASKS = 2
_LOG = re.compile(r"\b(?:build|root|checkout|mock_output)\.log\b")
_FAILED = koji.TASK_STATES["FAILED"]


def explain(hub: Hub, task_ids: Sequence[int]) -> dict[int, Excerpt]:
    """Return the lines of logs that explain failures, in three round trips for all tasks.

    Args:
        hub: The hub of the tasks.
        task_ids: Failed build tasks. Tasks that failed before they had a log get no excerpt.
    """
    if not task_ids:
        return {}
    with hub.multicall(strict=False) as calls:
        children = {task: calls.getTaskChildren(task) for task in task_ids}
    failed = {
        task: [child["id"] for child in outcome(found) if child["state"] == _FAILED][:_MAX_SUBTASKS]
        for task, found in children.items()
        if succeeded(found)
    }
    with hub.multicall(strict=False) as calls:
        reasons = {
            child: calls.getTaskResult(child, raise_fault=False)
            for numbers in failed.values()
            for child in numbers
        }
    logs = {child: _named(failure(reason)) for child, reason in reasons.items()}
    with hub.multicall(strict=False) as calls:
        parts = {
            child: {
                offset: calls.downloadTaskOutput(child, log, offset=offset, size=_PART)
                for offset in (-_PART, 0)
            }
            for child, log in logs.items()
        }
    found: dict[int, Excerpt] = {}
    for task, numbers in failed.items():
        excerpts = (_excerpt(parts[child], logs[child]) for child in numbers)
        if first := next((each for each in excerpts if each), None):
            found[task] = first
    return found


def _named(reason: str) -> str:
    """Return the log that a reason refers to."""
    match = _LOG.search(reason)
    return match[0] if match else "build.log"


def _excerpt(parts: Mapping[int, Any], log: str) -> Excerpt | None:
    """Return the excerpt from the end of a log, or from its beginning if the log is shorter than that.

    The hub refuses to read more bytes from the end than the log has.
    """
    end, whole = parts[-_PART], parts[0]
    if succeeded(end):
        return excerpt(base64.b64decode(end.result).partition(b"\n")[2], log, before=None)
    return excerpt(base64.b64decode(whole.result), log) if succeeded(whole) else None
