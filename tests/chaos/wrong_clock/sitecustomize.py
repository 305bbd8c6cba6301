"""Give one Python process a wrong time of day: ``CHAOS_SKEW`` seconds are added.

Python imports this module at its start if this folder is in ``PYTHONPATH``. Sleeping and monotonic clocks
stay correct, as on a machine with a wrong clock. libfaketime does not work: with it, ``time.sleep`` of
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
#: Modules that read the time of day from ``datetime``.
SKEWED = {
    *("django.utils.timezone", "celery.worker.request", "celery.utils.time"),
    *("celery.app.base", "celery.app.amqp", "celery.schedules"),
}


class SkewedDatetime(datetime.datetime):
    """A ``datetime`` with a wrong ``now``."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        """Return the wrong time."""
        return datetime.datetime.now(tz) + SKEW

    @classmethod
    def utcnow(cls) -> Any:
        """Return the wrong time in UTC."""
        return datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + SKEW


class Finder(importlib.abc.MetaPathFinder):
    """Skews the modules in ``SKEWED`` when they are imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module that is skewed after its execution."""
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

            spec.loader.exec_module = exec_module  # of this one module
        return spec


if SKEW:
    right_time = time.time
    time.time = lambda: right_time() + SKEW.total_seconds()
    sys.meta_path.insert(0, Finder())
