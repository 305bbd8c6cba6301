"""Concurrent changes of the rows of builds cause no deadlock and lose no update.

Only PostgreSQL locks rows; SQLite has one writer at a time.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from django.db import OperationalError, connection, connections
from django.db.models import F

from builds import dispatch
from builds.models import ComponentBuild, ModuleBuild, Phase, Wait
from builds.services import cancellation, components, slots, tagging, transitions
from builds.services.build_system import build_system
from builds.workflow import advance, buildafter, sweeps
from buildsys.base import Tagged, TaskState, TaskStatus
from mbs.errors import Conflict, MBSError
from mbs.states import BuildState, ComponentState
from tests.factories import component_build, module_build, wait

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="only PostgreSQL locks rows"),
]
SECONDS = 6
MEMBERS = 8


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, option: Callable[..., None]) -> Iterator[None]:
    """A build system and a broker that take everything, at once."""
    option(NUM_CONCURRENT_BUILDS=10, MESSAGING="log")
    build_system.cache_clear()
    monkeypatch.setattr(dispatch, "send_now", lambda *_, **__: None)
    monkeypatch.setattr("celery.canvas.Signature.apply_async", lambda *_, **__: None)
    monkeypatch.setattr("builds.workflow.canvas.remaining", lambda build: None)
    yield
    build_system.cache_clear()


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


class Racer(threading.Thread):
    """Does random things to these builds until the time is over."""

    def __init__(self, number: int, builds: list[int], end: float) -> None:
        super().__init__(name=f"racer {number}")
        self.dice, self.builds, self.end_at = random.Random(number), builds, end
        self.faults: list[str] = []
        self.done = 0

    def run(self) -> None:
        try:
            while time.monotonic() < self.end_at:
                act = self.dice.choice(ACTS)
                try:
                    act(ModuleBuild.objects.get(pk=self.dice.choice(self.builds)), self.dice)
                    self.done += 1
                except OperationalError as error:
                    self.faults.append(f"{act.__name__}: {error}")
        except Exception as error:  # noqa: BLE001  (the test tells it)
            self.faults.append(f"{act.__name__}: {type(error).__name__}: {error}")
        finally:
            connections.close_all()


def some(build: ModuleBuild, dice: random.Random, **fields: object) -> list[ComponentBuild]:
    """Some of its components, in any order."""
    rows = list(build.component_builds.filter(**fields))
    return dice.sample(rows, dice.randint(0, len(rows)))


def record(build: ModuleBuild, dice: random.Random) -> None:
    chosen = some(build, dice, state=ComponentState.BUILDING)
    for component in chosen:
        ComponentBuild.objects.filter(pk=component.pk, task_id=None).update(task_id=component.pk)
    states = [TaskState.COMPLETE, TaskState.FAILED, TaskState.LOST]
    statuses = [TaskStatus(c.pk, dice.choice(states), nvr=f"p-1-{c.pk}") for c in chosen]
    components.record(build, [component.pk for component in chosen], statuses)


def claim(build: ModuleBuild, dice: random.Random) -> None:
    slots.claim(build, some(build, dice, state=None))


def lease(build: ModuleBuild, dice: random.Random) -> None:
    slots.release(slots.lease(build, some(build, dice, state=ComponentState.BUILDING))[0])


def hand_out(build: ModuleBuild, dice: random.Random) -> None:
    for component in some(build, dice, state=None):
        parked = {"component_build": component, "key": f"slot:{component.pk}", "run": build.run}
        with suppress(Exception):
            wait(build, celery_task_id=f"of {component.pk}", signature={"options": {}}, **parked)
    slots.hand_out()


def cancel(build: ModuleBuild, dice: random.Random) -> None:
    transitions.fail(build.pk, MBSError("Canceled.", code="canceled"))
    for component in some(build, dice, state=ComponentState.BUILDING):
        components.fail(component.pk, "It was stopped.")


def resume(build: ModuleBuild, dice: random.Random) -> None:
    with suppress(Conflict):
        cancellation.resume(build, "ann")
        ModuleBuild.objects.filter(pk=build.pk, state=BuildState.WAIT).update(
            state=BuildState.BUILD, phase=Phase.BUILDING, batch=2
        )


def go_on(build: ModuleBuild, dice: random.Random) -> None:
    advance.advance(build.pk)


def mark_tagged(build: ModuleBuild, dice: random.Random) -> None:
    complete = some(build, dice, state=ComponentState.COMPLETE)
    nvrs = frozenset(str(component.nvr) for component in complete)
    tagging._store(complete, Tagged(nvrs, nvrs if dice.random() < 0.5 else frozenset()))


def unblock(build: ModuleBuild, dice: random.Random) -> None:
    buildafter.unblock(build, some(build, dice, state=ComponentState.COMPLETE))


def forget(build: ModuleBuild, dice: random.Random) -> None:
    sweeps.stuck_waits()


def let_go(build: ModuleBuild, dice: random.Random) -> None:
    sweeps.failed_builds()


def wake(build: ModuleBuild, dice: random.Random) -> None:
    Wait.objects.filter(pk__in=[w.pk for w in build.waits.all()][:1]).update(woken_at=None)
    keys = list(build.waits.values_list("key", flat=True))
    dispatch.wake(keys)
    dispatch.complete(keys)


def progress(build: ModuleBuild, dice: random.Random) -> None:
    ModuleBuild.objects.filter(pk=build.pk).update(batches=F("batches") + 1)


ACTS = [record, record, claim, lease, hand_out, cancel, resume, resume, go_on, mark_tagged, unblock, forget]
ACTS += [wake, progress, let_go]


@pytest.mark.parametrize("number", [1, 3])
def test_nothing_deadlocks(hub: None, number: int) -> None:
    """In one build all meet at the same rows; several have owners that compete for slots."""
    builds = [
        module_build(
            owner=f"owner{place}",
            state=BuildState.BUILD,
            phase=Phase.BUILDING,
            batch=2,
            run=1,
            arch_names=["x86_64"],
        )
        for place in range(number)
    ]
    for build in builds:
        for _ in range(MEMBERS):
            component_build(build, scmurl="https://git.example.com/rpms/a")
    before, end = deadlocks(), time.monotonic() + SECONDS
    racers = [Racer(seed, [build.pk for build in builds], end) for seed in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(SECONDS + 60)
    assert [fault for racer in racers for fault in racer.faults] == []
    assert deadlocks() == before
    assert sum(racer.done for racer in racers) > 100
