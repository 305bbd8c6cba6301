"""Carry the log context through Celery: from a request to its tasks, and to the tasks that those send.

``config.celery`` imports this module, which connects to Celery's signals.
"""

from __future__ import annotations

import logging.config
import time
from typing import Any

from celery import Task
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun
from django.conf import settings

from builds.observability import log_context
from builds.observability.metrics import service_metrics

#: Message header: id of the request that led to the task.
REQUEST_ID = "mbs_request_id"
#: Message header: number of the module build that the task is sent for.
BUILD = "mbs_build"
#: Message header: time at which a parked task was woken, in seconds since the epoch.
WOKEN = "mbs_woken"
#: Prefix of tasks whose first argument is the number of a module build, and the exceptions.
_BUILD_TASKS, _NOT_OF_BUILDS = "workflow.", frozenset({"workflow.recover_lost"})

_marks: dict[str, log_context.Mark] = {}


@setup_logging.connect
def _configure(loglevel: int | None = None, **_: Any) -> None:
    """Configure logging as in the rest of the service, with the level of Celery's command line for Celery."""
    logging.config.dictConfig(settings.LOGGING)
    if loglevel:
        logging.getLogger("celery").setLevel(loglevel)


@before_task_publish.connect
def _add_headers(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Add the sender's context to a task, except to a woken one, which may belong to another build."""
    if headers is None or WOKEN in headers:
        return
    for header, name in ((REQUEST_ID, "request_id"), (BUILD, "build")):
        if name in log_context.current():
            headers[header] = log_context.current()[name]


@task_prerun.connect
def _bind_context(task_id: str, task: Task[..., Any], args: Any = (), **_: Any) -> None:
    headers = task.request.headers or {}
    _marks[task_id] = log_context.bind(task=task.name, task_id=task_id, request_id=headers.get(REQUEST_ID))
    woken, build = headers.get(WOKEN), headers.get(BUILD)
    if woken and not task.request.retries:
        service_metrics().reaction_seconds.labels(task.name).observe(max(0.0, time.time() - woken))
    if task.name.startswith(_BUILD_TASKS) and task.name not in _NOT_OF_BUILDS and args:
        build = args[0]
    if build:
        log_context.bind(**log_context.of_build_id(build))


@task_postrun.connect
def _unbind_context(task_id: str, **_: Any) -> None:
    mark = _marks.pop(task_id, None)
    if mark is not None:
        log_context.unbind(mark)
