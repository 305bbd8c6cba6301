"""Measure how long waits last after their reason has ended, while a fake hub and workers are busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tests.buildsys.koji.double import HubDouble

#: Seconds between two observations, which is the precision.
_INTERVAL = 0.5


class Lateness:
    """Observes all waits in a thread; ``worst`` contains the most seconds by kind of wait."""

    def __init__(self, double: HubDouble) -> None:
        self.worst = {"component": 0.0, "tag": 0.0, "repo": 0.0}
        self._double = double
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Lateness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def __str__(self) -> str:
        figures = ", ".join(f"{kind} {seconds:.1f} s" for kind, seconds in self.worst.items())
        return f"waits outlived what they waited for by at most: {figures}"

    def _watch(self) -> None:
        from builds.models import Wait

        ends = {"component": self._component_ended, "tag": self._tags_ended, "repo": self._repo_ended}
        fields = (
            "key",
            "created_at",
            "component_build__task_id",
            "module_build__koji_tag",
            "module_build__new_repo_task_id",
        )
        while not self._stopped.wait(_INTERVAL):
            rows = list(Wait.objects.values(*fields))
            now = time.time()
            with self._double.lock:
                for row in rows:
                    kind = row["key"].partition(":")[0]
                    self._note(kind, row, now, ends.get(kind))

    def _note(
        self, kind: str, row: dict[str, Any], now: float, ended: Callable[..., float | None] | None
    ) -> None:
        end = ended(row) if ended else None
        if end is not None:
            self.worst[kind] = max(self.worst[kind], now - max(end, row["created_at"].timestamp()))

    def _component_ended(self, row: dict[str, Any]) -> float | None:
        task = self._double.books.tasks.get(row["component_build__task_id"])
        return task.ended if task else None

    def _tags_ended(self, row: dict[str, Any]) -> float | None:
        """Return when the last build was tagged into the module's tags; None while a tagging task is open."""
        books = self._double.books
        names = (row["module_build__koji_tag"], f"{row['module_build__koji_tag']}-build")
        numbers = {books.tags[name].id for name in names}
        if any(books.tasks[task].request[0] in numbers for task in books.open if _tags(books.tasks[task])):
            return None
        events = [entry[1] for name in names for entry in books.tags[name].listing]
        return books.events[max(events)] if events else None

    def _repo_ended(self, row: dict[str, Any]) -> float | None:
        books = self._double.books
        request = books.requests.get(row["module_build__new_repo_task_id"])
        return books.tasks[request["task_id"]].ended if request else None


def _tags(task: Any) -> bool:
    return bool(task.method == "tagBuild")
