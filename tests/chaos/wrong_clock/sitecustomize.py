"""A wrong time of day for one Python process: ``CHAOS_SKEW`` seconds are added to it.

Python imports this module when it starts with this folder in ``PYTHONPATH``. Sleeping and monotonic clocks
stay right, as on a machine whose clock is set wrong. libfaketime was tried first: with it ``time.sleep`` of
Python 3.11 fails (EINVAL from clock_nanosleep).
"""

from __future__ import annotations

import datetime
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import time
from typing import Any

SKEW = datetime.timedelta(seconds=float(os.environ.get("CHAOS_SKEW", 0)))
#: Modules that take the time of day from ``datetime``.
SKEWED = {
    *("django.utils.timezone", "celery.worker.request", "celery.utils.time"),
    *("celery.app.base", "celery.app.amqp", "celery.schedules"),
}


class SkewedDatetime(datetime.datetime):
    """A ``datetime`` whose ``now`` is wrong."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return datetime.datetime.now(tz) + SKEW

    @classmethod
    def utcnow(cls) -> Any:
        return datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + SKEW


class Finder(importlib.abc.MetaPathFinder):
    """Skews the modules in ``SKEWED`` when they are imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name not in SKEWED:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                if isinstance(getattr(module, "datetime", None), type):
                    module.datetime = SkewedDatetime
                if name == "django.utils.timezone":
                    module.now = lambda: SkewedDatetime.now(datetime.UTC)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # of this one module
        return spec


if SKEW:
    right_time = time.time
    time.time = lambda: right_time() + SKEW.total_seconds()
    sys.meta_path.insert(0, Finder())
