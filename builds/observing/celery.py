"""The context of log lines, followed through Celery: from a request to its tasks and to the tasks of those.

``config.celery`` imports this; what it connects to are signals of Celery.
"""

from __future__ import annotations

import logging.config
import time
from collections import OrderedDict
from typing import Any

from celery import Task
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun
from django.apps import apps
from django.conf import settings
from django.db import Error

from builds.observing import context
from builds.observing.metrics import shared

#: header of a message: the request that led to the task
REQUEST_ID = "mbs_request_id"
#: header of a message: when the task, which was parked, was woken, in seconds since the epoch
WOKEN = "mbs_woken"
#: tasks whose first argument is the number of a module build, but for these, begin with this
_OF_BUILDS, _OTHERS = "workflow.", frozenset({"workflow.recover_lost"})
#: names that are remembered: more than a worker has builds in hand
_REMEMBERED = 1000

_marks: dict[str, context.Mark] = {}
_names: OrderedDict[int, str] = OrderedDict()


@setup_logging.connect
def _configure(loglevel: int | None = None, **_: Any) -> None:
    """Log as the rest of the service does; what Celery itself says follows its command line."""
    logging.config.dictConfig(settings.LOGGING)
    if loglevel:
        logging.getLogger("celery").setLevel(loglevel)


@before_task_publish.connect
def _carry(headers: dict[str, Any] | None = None, **_: Any) -> None:
    request_id = context.current().get("request_id")
    if headers is not None and request_id:
        headers[REQUEST_ID] = request_id


@task_prerun.connect
def _begin(task_id: str, task: Task, args: Any = (), **_: Any) -> None:
    request_id = (task.request.headers or {}).get(REQUEST_ID)
    mark = context.note(task=task.name, task_id=task_id, request_id=request_id)
    _marks[task_id] = mark
    woken = (task.request.headers or {}).get(WOKEN)
    if woken and not task.request.retries:
        shared().reaction_seconds.labels(task.name).observe(max(0.0, time.time() - woken))
    if task.name.startswith(_OF_BUILDS) and task.name not in _OTHERS and args:
        context.note(build=args[0], nsvc=_nsvc(args[0]))


@task_postrun.connect
def _end(task_id: str, **_: Any) -> None:
    mark = _marks.pop(task_id, None)
    if mark is not None:
        context.forget(mark)


def _nsvc(build_id: int) -> str:
    """The name of a build, asked for once; empty when nobody can say."""
    if build_id not in _names:
        rows = apps.get_model("builds", "ModuleBuild").objects.filter(pk=build_id)
        try:
            found = rows.values_list("name", "stream", "version", "context").first()
        except Error:
            return ""  # the task itself finds the database away, and waits for it
        if found is None:
            return ""
        _names[build_id] = ":".join(found)
        if len(_names) > _REMEMBERED:
            _names.popitem(last=False)
    return _names[build_id]
