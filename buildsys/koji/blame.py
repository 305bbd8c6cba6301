"""Determine whether a Koji task failed because of the infrastructure or because of its sources.

Koji's messages are in ``builder/kojid`` and ``koji/util.py``. The programs that fail inside a task (mock,
dnf, git) write more to its logs.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

import koji

from buildsys.koji.session import Hub, outcome, succeeded

#: In the reason of a task: its builder had a problem.
_BUILDER = re.compile(
    r"No space left on device|Disk quota exceeded|Read-only file system|Input/output error"
    r"|Cannot allocate memory|was killed by signal (9|15)\b|terminated for unknown reasons"
    r"|Connection (aborted|refused|reset|timed out)|Max retries exceeded|Read timed out"
    r"|Temporary failure in name resolution|failed to get a buildroot id"
    r"|Unsuccessfully waited .* repo|Repo request no longer active|Requested repo \(\d+\) is"
)
#: In a log of mock, dnf or git: the network or the builder's disk had a problem.
_EVIDENCE = re.compile(
    r"Could not resolve host|Temporary failure in name resolution|Network is unreachable|No route to host"
    r"|Connection (refused|reset|timed out)|Failed to connect to|Timeout was reached|Operation too slow"
    r"|Curl error|Cannot download|Failed to download metadata|SSL connect error|unexpected disconnect"
    r"|early EOF|No space left on device|Disk quota exceeded|Read-only file system|Input/output error"
    r"|Cannot allocate memory|more space needed on the"
)
#: Logs that a reason names, except build.log, whose errors come from the sources.
_LOG = re.compile(r"\b(?!build\.)\w+\.log\b")
#: Bytes to read from each end of a log. The hub refuses to read more from the end than exist.
_PART = 20_000
_FAILED = koji.TASK_STATES["FAILED"]


def of_infrastructure(hub: Hub, reasons: Mapping[int, str]) -> set[int]:
    """Return the tasks that clearly failed because of the infrastructure.

    If a reason names a log, the logs are read, in one round trip for the subtasks and another for the logs.

    Args:
        reasons: Failed task -> reason.
    """
    plain = {task for task, reason in reasons.items() if _BUILDER.search(reason)}
    named = {task: _LOG.findall(reason) for task, reason in reasons.items() if task not in plain}
    return plain | _by_logs(hub, {task: logs for task, logs in named.items() if logs})


def _by_logs(hub: Hub, named: Mapping[int, Sequence[str]]) -> set[int]:
    if not named:
        return set()
    with hub.multicall(strict=False) as calls:
        children = {task: calls.getTaskChildren(task) for task in named}
    with hub.multicall(strict=False) as calls:
        parts = {
            task: [
                calls.downloadTaskOutput(child["id"], log, offset=offset, size=_PART)
                for child in outcome(children[task])
                if child["state"] == _FAILED
                for log in (*logs, "mock_output.log")
                for offset in (0, -_PART)
            ]
            for task, logs in named.items()
        }
    return {task for task, logs in parts.items() if any(_EVIDENCE.search(_text(log)) for log in logs)}


def _text(log: Any) -> str:
    """Return a part of a log, or an empty text if there is none."""
    return base64.b64decode(log.result).decode(errors="replace") if succeeded(log) else ""
