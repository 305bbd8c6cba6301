"""Run processes of the service one at a time, and interrupt or overtake them between any two commits.

Celery's messages are kept in a list instead of a broker and executed by Celery's code for workers. A real
Redis counts the members of chords.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import kombu
import pytest
from celery import current_app
from celery.app.trace import trace_task_ret
from celery.exceptions import Reject
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import F
from django.utils import timezone

from builds.models import ComponentBuild, ModuleBuild, Sweep, Wait

#: Columns with times that something began or ends.
_TIMES = {
    ModuleBuild: ("progress_at", "publishing_until", "abandon_since", "abandoning_until"),
    ComponentBuild: ("submitting_until",),
    Wait: ("created_at", "woken_at"),
    Sweep: ("leased_until",),
}


class Killed(BaseException):
    """The process is killed."""


@dataclass
class Message:
    """A task in the queue."""

    headers: dict[str, Any]
    body: str
    redelivered: bool = False

    @property
    def name(self) -> str:
        """Name of the task."""
        return str(self.headers["task"])


@dataclass
class Process:
    """The current process. At one of its points between two commits, something happens.

    Attributes:
        at: Number of the point, from 1; 0 for none.
        act: The action; None to kill the process.
    """

    at: int = 0
    act: Callable[[], object] | None = None
    passed: int = 0
    dead: bool = False


@dataclass
class World:
    """The queue and the clock."""

    queue: list[Message] = field(default_factory=list)
    skew: timedelta = timedelta(0)
    processes: list[Process] = field(default_factory=list)

    def publish(self, body: Any, headers: dict[str, Any]) -> None:
        """Append a message to the queue."""
        self.point()
        self.queue.append(Message(dict(headers), json.dumps(body)))

    def deliver(self, number: int = 0, at: int = 0, act: Callable[[], object] | None = None) -> None:
        """Execute a message in a new process; if that is killed, the message is redelivered."""
        message = self.queue.pop(number)

        def work() -> None:
            headers = dict(message.headers)
            headers["delivery_info"] = {"redelivered": message.redelivered, "routing_key": "workflow"}
            body, app = json.loads(message.body), current_app._get_current_object()
            with suppress(Reject):
                trace_task_ret(message.name, headers["id"], headers, body, None, None, app=app)

        if not self.process(work, at, act):
            self.queue.insert(0, replace(message, redelivered=True))

    def process(
        self, work: Callable[[], object], at: int = 0, act: Callable[[], object] | None = None
    ) -> bool:
        """Do something in a new process; return whether it was not killed."""
        process = Process(at, act)
        self.processes.append(process)
        try:
            work()
            self.point()
        except Killed:
            connection.run_on_commit = []
            connection.close()
        finally:
            self.processes.pop()
        return not process.dead

    def point(self) -> None:
        """Mark a point between two commits."""
        if not self.processes:
            return
        process = self.processes[-1]
        process.passed += 1
        if process.passed == process.at:
            if process.act is None:
                process.dead = True
            else:
                self.processes.append(Process())
                try:
                    process.act()
                finally:
                    self.processes.pop()
        # A dead process does nothing more, although Python still runs its ``finally`` blocks.
        if process.dead:
            raise Killed

    def pass_time(self, seconds: float) -> None:
        """Make all recorded times older, whatever clock they come from."""
        step = timedelta(seconds=seconds)
        for model, names in _TIMES.items():
            model._default_manager.update(**{name: F(name) - step for name in names})

    def empty_broker(self) -> None:
        """Remove all messages and results."""
        self.queue.clear()
        current_app.backend.client.flushall()


@contextmanager
def world() -> Iterator[World]:
    """Replace the broker and the clock by a world."""
    made = World()
    current_app.loader.import_default_modules()
    with pytest.MonkeyPatch.context() as patch:
        now = timezone.now

        def skewed() -> datetime:
            return now() + made.skew

        patch.setattr(timezone, "now", skewed)
        patch.setattr(kombu.Producer, "publish", _publish(made))
        patch.setattr(CursorWrapper, "_execute", _executing(made, CursorWrapper._execute))
        yield made


def _publish(made: World) -> Callable[..., None]:
    def publish(self: kombu.Producer, body: Any, *args: Any, **options: Any) -> None:
        made.publish(body, options["headers"])

    return publish


def _executing(made: World, execute: Callable[..., Any]) -> Callable[..., Any]:
    def executing(self: CursorWrapper, sql: Any, params: Any, *rest: Any) -> Any:
        if made.processes and not connection.in_atomic_block:
            made.point()
        return execute(self, sql, params, *rest)

    return executing
