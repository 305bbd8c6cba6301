"""The service's Celery application with faults, for workers of tests.

Environment variables select the faults:

``FAULT_KILL``        A folder with a file for each build. The process is killed at the n-th commit point of
a build, where n is the content of its file. Commit points are before and after each commit of a task of the
build.
``FAULT_DOUBLE``      Every message of the workflow is sent twice, except those that copies send, which would
double with each step.
``FAULT_SLOW_STORE``  Seconds before the row of a parked task is written.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import django
import kombu
from celery import current_task
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from config.celery import app

django.setup()

from builds.workflow import parking  # noqa: E402  (models need the apps)

__all__ = ["app"]

#: Header of a message that is a copy of another.
_COPY = "fault_copy"
_WRITES = ("INSERT", "UPDATE", "DELETE")


def _point() -> None:
    """Count a commit point of the current build, and kill the process at the selected one."""
    request = current_task.request if current_task else None
    if not request or not request.args or not str(current_task.name).startswith("workflow."):
        return
    chosen = Path(os.environ["FAULT_KILL"]) / str(request.args[0])
    if not chosen.exists():
        return
    points = os.open(chosen.with_suffix(".points"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(points, b".")
    if os.fstat(points).st_size == int(chosen.read_text()):
        os.kill(os.getpid(), signal.SIGKILL)


def _around(commit: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(commit)
    def committing(*args: Any) -> Any:
        _point()
        answer = commit(*args)
        _point()
        return answer

    return committing


def _kill_at_commits() -> None:
    BaseDatabaseWrapper._commit = _around(BaseDatabaseWrapper._commit)
    execute = CursorWrapper._execute
    commits = _around(execute)

    def executing(self: CursorWrapper, sql: Any, params: Any, *rest: Any) -> Any:
        alone = not connection.in_atomic_block and str(sql).startswith(_WRITES)
        return (commits if alone else execute)(self, sql, params, *rest)

    CursorWrapper._execute = executing


def _double() -> None:
    publish = kombu.Producer.publish

    def publishing(self: kombu.Producer, *args: Any, **kwargs: Any) -> Any:
        headers = kwargs.get("headers") or {}
        by_copy = bool(current_task) and current_task.request.get(_COPY)
        if headers.get("task", "").startswith("workflow.") and not by_copy:
            publish(self, *args, **{**kwargs, "headers": {**headers, _COPY: True}})
        return publish(self, *args, **kwargs)

    kombu.Producer.publish = publishing


def _slow_store(seconds: float) -> None:
    store = parking._store

    def storing(*args: Any) -> None:
        time.sleep(seconds)
        store(*args)

    parking._store = storing


if "FAULT_KILL" in os.environ:
    _kill_at_commits()
if "FAULT_DOUBLE" in os.environ:
    _double()
if "FAULT_SLOW_STORE" in os.environ:
    _slow_store(float(os.environ["FAULT_SLOW_STORE"]))
