"""Read logs of Koji builds: from the hub while it keeps the output of tasks, later from its file server.

Only the configured hub and its ``topurl`` are read. Names of logs are checked against the hub's list for
the submission.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx
import koji

from buildsys.base import BuildSystemError, BuildSystemUnavailable
from buildsys.koji.session import Hub, outcome, succeeded
from buildsys.koji.tagging import OPEN_TASKS
from buildsys.logs import LogFile, LogPart, NoSuchLog, clipped
from mbs.time_limit import run_within

#: Names of logs, the most informative first; others follow by name.
_ORDER = ("build.log", "root.log", "mock_output.log")
_FAILED = koji.TASK_STATES["FAILED"]
_COMPLETE = koji.BUILD_STATES["COMPLETE"]
#: Name of a log that a task left: number of the task, and name of the file. Printable ASCII only: other
#: characters make XML-RPC calls that are not well-formed.
_OF_TASK = re.compile(r"([0-9]{1,18})/([ -.0-\[\]-~]{1,200}\.log)")
#: Name of a log that is kept with the packages of a build: architecture, and name of the file.
_KEPT = re.compile(r"kept/([ -.0-\[\]-~]{1,100})/([ -.0-\[\]-~]{1,200}\.log)")
#: Header Content-Range (RFC 9110, 14.4).
_RANGE = re.compile(r"bytes (?:[0-9]+-[0-9]+|\*)/([0-9]+)")


class Logs:
    """Reads logs of a hub.

    Args:
        hub: Session of the hub, without a login.
        topurl: URL of the hub's files; empty if they are not served.
        timeout: Seconds that the file server has for its whole answer.
    """

    def __init__(self, hub: Hub, topurl: str, timeout: float) -> None:
        self._hub = hub
        self._topurl = topurl.rstrip("/")
        self._timeout = timeout

    def files(self, task_id: int) -> list[LogFile]:
        """Return the logs of a build task: see ``buildsys.logs.ReadsLogs``."""
        with self._hub.multicall(strict=False) as calls:
            children = calls.getTaskChildren(task_id)
            builds = calls.listBuilds(taskID=task_id, state=_COMPLETE)
        tasks = sorted(outcome(children) if succeeded(children) else [], key=_relevance)
        complete = outcome(builds) if succeeded(builds) else []
        with self._hub.multicall(strict=False) as calls:
            outputs = {task["id"]: calls.listTaskOutput(task["id"]) for task in tasks}
            kept = [calls.getBuildLogs(build["id"]) for build in complete[:1]]
        found = [
            LogFile(f"{task['id']}/{name}", f"{_place(task)} {name}")
            for task in tasks
            if succeeded(outputs[task["id"]])
            for name in sorted(outcome(outputs[task["id"]]), key=_order)
            if _OF_TASK.fullmatch(f"{task['id']}/{name}")
        ]
        return found or [
            LogFile(f"kept/{row['dir']}/{row['name']}", f"{row['dir']} {row['name']}")
            for rows in kept
            if succeeded(rows)
            for row in sorted(outcome(rows), key=lambda row: (row["dir"], _order(row["name"])))
            if _KEPT.fullmatch(f"kept/{row['dir']}/{row['name']}")
        ]

    def read(self, task_id: int, name: str, start: int, stop: int) -> LogPart:
        """Read a part of a log: see ``buildsys.logs.ReadsLogs``."""
        if match := _OF_TASK.fullmatch(name):
            return self._of_task(task_id, int(match[1]), match[2], *clipped(start, stop))
        if _KEPT.fullmatch(name):
            return self._kept(task_id, name, *clipped(start, stop))
        raise NoSuchLog.of(task_id, name)

    def _of_task(self, task_id: int, child: int, file: str, start: int, count: int) -> LogPart:
        with self._hub.multicall(strict=False) as calls:
            info = calls.getTaskInfo(child)
            output = calls.listTaskOutput(child, stat=True)
            part = calls.downloadTaskOutput(child, file, offset=start, size=count)
        task = outcome(info) if succeeded(info) else None
        if not task or task["parent"] != task_id or not succeeded(output) or not succeeded(part):
            raise NoSuchLog.of(task_id, f"{child}/{file}")
        data = base64.b64decode(outcome(part))[:count]
        size = int(outcome(output).get(file, {}).get("st_size", 0))
        complete = task["state"] not in OPEN_TASKS
        return LogPart(start, data, max(size, start + len(data) if data else 0), complete)

    def _kept(self, task_id: int, name: str, start: int, count: int) -> LogPart:
        builds = self._hub.call("listBuilds", taskID=task_id, state=_COMPLETE)
        rows = self._hub.call("getBuildLogs", builds[0]["id"]) if builds and self._topurl else []
        path = next((row["path"] for row in rows if f"kept/{row['dir']}/{row['name']}" == name), "")
        if not path or ".." in path.split("/"):
            raise NoSuchLog.of(task_id, name)
        try:
            url = f"{self._topurl}/{quote(path.lstrip('/'))}"
            return run_within(self._timeout, self._fetch(url, start, count))
        except FileNotFoundError:
            raise NoSuchLog.of(task_id, name) from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise BuildSystemUnavailable(
                f"The log {name} cannot be read from {self._topurl}: {str(error) or 'timed out'}.",
                code="koji_files_unavailable",
                hint="Try again later; operators: check `topurl` of the Koji profile.",
            ) from error

    async def _fetch(self, url: str, start: int, count: int) -> LogPart:
        """Read bytes of a file from the file server.

        Raises:
            FileNotFoundError: The file does not exist.
        """
        # Uncompressed, so that the bytes of the range are those of the log.
        headers = {"Range": f"bytes={start}-{start + max(count, 1) - 1}", "Accept-Encoding": "identity"}
        async with (
            httpx.AsyncClient(timeout=self._timeout) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            content_range = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if answer.status_code == 416 and content_range:
                return LogPart(start, b"", int(content_range[1]), complete=True)
            if answer.status_code in (403, 404, 410):
                raise FileNotFoundError(url)
            if answer.status_code == 206 and content_range:
                return LogPart(start, await _first(answer, count), int(content_range[1]), complete=True)
            if answer.status_code == 200 and not start:
                data, length = await _first(answer, count), answer.headers.get("Content-Length", "")
                return LogPart(0, data, int(length) if length.isdecimal() else len(data), complete=True)
        raise BuildSystemError(
            f"The file server {self._topurl} answered {answer.status_code} to a request for part of a log.",
            code="koji_files_unreadable",
            hint="It must serve byte ranges (RFC 9110, section 14).",
        )


async def _first(answer: httpx.Response, count: int) -> bytes:
    """Return the first bytes of an answer, however many there are."""
    data = b""
    async for piece in answer.aiter_raw():
        data += piece
        if len(data) >= count:
            break
    return data[:count]


def _relevance(task: Mapping[str, Any]) -> tuple[bool, bool, int]:
    """Return a sort key: failed subtasks first, then those that build binary RPMs."""
    return task["state"] != _FAILED, task["method"] != "buildArch", task["id"]


def _place(task: Mapping[str, Any]) -> str:
    """Return the readable kind of a subtask: its architecture, or the source RPM."""
    return "source RPM" if "SRPM" in task["method"] else str(task.get("label") or task["arch"])


def _order(name: str) -> tuple[int, str]:
    known: Sequence[str] = _ORDER
    return (known.index(name) if name in known else len(known)), name
