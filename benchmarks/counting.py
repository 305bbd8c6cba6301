"""The service's Celery application, which counts the actions of its tasks for ``benchmarks.scheduling``.

Each process writes its counts to a file in the folder ``BENCH_COUNTS`` when it ends.
"""

from __future__ import annotations

import json
import os
import resource
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from celery.signals import before_task_publish, task_prerun, worker_process_init, worker_process_shutdown
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from config.celery import app

__all__ = ["app"]

_counts: Counter[str] = Counter()


@receiver(connection_created)
def _count_statements(connection: Any, **_: Any) -> None:
    # A connection that is opened again keeps its wrappers.
    if _counted not in connection.execute_wrappers:
        connection.execute_wrappers.append(_counted)


def _counted(call: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    _counts["statements"] += 1
    words = sql.replace('"', "").split()
    table = next((b for a, b in pairwise(words) if a in ("FROM", "INTO", "UPDATE")), "")
    _counts[f"{words[0]} {table}"] += 1
    return call(sql, params, many, context)


@before_task_publish.connect
def _count_messages(sender: str = "", **_: Any) -> None:
    _counts["messages"] += 1
    _counts[f"message {sender}"] += 1


@task_prerun.connect
def _count_runs(task: Any = None, **_: Any) -> None:
    _counts["runs"] += 1
    _counts[f"run {task.name}"] += 1


@worker_process_init.connect
def _begin(**_: Any) -> None:
    _counts.clear()


@worker_process_shutdown.connect
def _report(**_: Any) -> None:
    figures = {**_counts, "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    Path(os.environ["BENCH_COUNTS"], f"{os.getpid()}.json").write_text(json.dumps(figures))
