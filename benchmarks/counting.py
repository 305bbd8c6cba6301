"""The Celery application of the service, counting: what its workers cost, for ``benchmarks.scheduling``.

Each process adds its figures to a file in ``BENCH_COUNTS`` when it ends.
"""

from __future__ import annotations

import json
import os
import resource
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from celery.signals import before_task_publish, worker_process_init, worker_process_shutdown
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from config.celery import app

__all__ = ["app"]

_counts: Counter[str] = Counter()


@receiver(connection_created)
def _count_statements(connection: Any, **_: Any) -> None:
    def execute(call: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        _counts["statements"] += 1
        words = sql.replace('"', "").split()
        table = next((b for a, b in pairwise(words) if a in ("FROM", "INTO", "UPDATE")), "")
        _counts[f"{words[0]} {table}"] += 1
        return call(sql, params, many, context)

    connection.execute_wrappers.append(execute)


@before_task_publish.connect
def _count_messages(sender: str = "", **_: Any) -> None:
    _counts["messages"] += 1
    _counts[sender] += 1


@worker_process_init.connect
def _begin(**_: Any) -> None:
    _counts.clear()


@worker_process_shutdown.connect
def _report(**_: Any) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {**_counts, "peak_kib": usage.ru_maxrss, "cpu_s": usage.ru_utime + usage.ru_stime}
    Path(os.environ["BENCH_COUNTS"], f"{os.getpid()}.json").write_text(json.dumps(figures))
