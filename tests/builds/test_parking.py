"""Steps as tasks: what parks, what tries again, what gives up, and what is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from celery import Task
from celery.exceptions import Ignore, Retry, SoftTimeLimitExceeded
from django.db import OperationalError
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway
from redis.exceptions import ConnectionError as RedisAway

from builds.models import ModuleBuild, TaskCrash, Wait
from builds.tasks import workflow
from builds.workflow.outcomes import Obsolete, Park
from builds.workflow.parking import PARKED, perform
from mbs.errors import MBSError, Unavailable
from mbs.states import BuildState
from tests.factories import module_build

pytestmark = pytest.mark.django_db(transaction=True)
PARK = Park("tag:x", "what was built is being tagged", "the build system's word")
#: steps -> how many arguments they have beside build and run
STEPS = dict.fromkeys(("initialize", "prepare", "renew_buildroot", "finalize"), 0) | dict.fromkeys(
    ("start_batch", "build_component", "finish_batch", "tag_batch", "regenerate_repo"), 1
)


@pytest.fixture
def build() -> ModuleBuild:
    return module_build(state=BuildState.BUILD, run=1)


@pytest.fixture
def task(build: ModuleBuild) -> Iterator[Task]:
    """A task of that build, as a worker would run it."""
    task = workflow.tag_batch
    task.push_request(id="one", args=[build.pk, 1, 2], kwargs={}, headers={}, called_directly=False)
    yield task
    task.pop_request()


def failing(error: Exception) -> Callable[..., None]:
    def step(*_: int) -> None:
        raise error

    return step


def run(task: Task, step: Callable[..., object], *, goes_on: bool = False) -> list[MBSError]:
    """Perform a step; the errors that were given up on."""
    errors: list[MBSError] = []

    def give_up(error: MBSError, *_: int) -> bool:
        errors.append(error)
        return goes_on

    perform(task, step, *task.request.args, give_up=give_up)
    return errors


def test_a_step_that_must_wait_is_parked(task: Task, build: ModuleBuild) -> None:
    with pytest.raises(Ignore):
        run(task, lambda *_: PARK)
    wait = Wait.objects.get()
    assert (wait.key, wait.celery_task_id, wait.module_build, wait.run) == ("tag:x", "one", build, 1)
    assert wait.signature["options"]["headers"] == {PARKED: True}
    assert wait.woken_at is None


def test_facts_that_change_while_it_parks_are_seen(task: Task) -> None:
    outcomes = iter([PARK, None])
    assert run(task, lambda *_: next(outcomes)) == []
    assert not Wait.objects.exists()


def test_an_obsolete_step_leaves_nothing_behind(task: Task) -> None:
    with pytest.raises(Ignore):
        run(task, lambda *_: PARK)
    task.request.headers = {PARKED: True}
    with pytest.raises(Ignore):
        run(task, failing(Obsolete()))
    assert not Wait.objects.exists()


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("it is away"),
        OperationalError("it is away"),
        BrokerAway("it is away"),
        RedisAway("it is away"),
    ],
)
def test_an_outage_is_waited_for_and_people_can_see_it(task: Task, error: Exception) -> None:
    with pytest.raises(Retry):
        run(task, failing(error))
    wait = Wait.objects.get()
    assert (wait.key, wait.what, wait.wakes_on) == ("retry:one", "an outage: it is away", "another try")
    # Not to be woken before its time: the sweep is for the case that the broker loses the message.
    assert wait.woken_at > timezone.now()
    assert wait.signature["options"]["retries"] == 1
    task.request.headers = {PARKED: True}
    assert run(task, lambda *_: None) == []
    assert not Wait.objects.exists()


def test_when_the_outage_is_the_broker_s_the_wait_is_there_all_the_same(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise BrokerAway("it is away")

    monkeypatch.setattr("celery.canvas.Signature.apply_async", away)
    with pytest.raises(Exception, match="it is away"):
        run(task, failing(BrokerAway("it is away")))
    assert Wait.objects.get().woken_at < timezone.now() + timedelta(minutes=1)


@pytest.mark.parametrize("goes_on", [True, False])
def test_who_gives_up_waits_for_nothing_any_more(task: Task, goes_on: bool) -> None:
    with pytest.raises(Ignore):
        run(task, lambda *_: PARK)
    task.request.headers = {PARKED: True}
    error = MBSError("It broke.")
    if goes_on:
        assert run(task, failing(error), goes_on=True) == [error]
    else:
        with pytest.raises(Ignore):
            run(task, failing(error))
    assert not Wait.objects.exists()


def test_an_unexpected_error_is_told_with_its_kind(task: Task) -> None:
    (error,) = run(task, failing(ZeroDivisionError("oh")), goes_on=True)
    assert error.message == "The service failed in workflow.tag_batch: ZeroDivisionError: oh"


def test_a_step_that_hangs_is_tried_three_times(task: Task) -> None:
    hanging = failing(SoftTimeLimitExceeded())
    for _ in range(2):
        with pytest.raises(Retry):
            run(task, hanging)
    (error,) = run(task, hanging, goes_on=True)
    assert error.code == "worker_lost"
    assert "workflow.tag_batch hung" in error.message


def test_a_step_that_kills_its_worker_is_tried_three_times(task: Task) -> None:
    task.request.delivery_info = {"redelivered": True}
    for _ in range(2):
        with pytest.raises(SystemExit):
            run(task, failing(SystemExit()))
    (error,) = run(task, lambda *_: None, goes_on=True)
    assert error.code == "worker_lost"


@pytest.mark.parametrize("outcome", [None, PARK])
def test_a_step_that_comes_to_its_end_has_killed_nobody(task: Task, outcome: Park | None) -> None:
    task.request.delivery_info = {"redelivered": True}
    for _ in range(5):
        with suppress(Ignore):
            assert run(task, lambda *_: outcome) == []
    assert not TaskCrash.objects.exists()


@pytest.mark.parametrize("name", STEPS)
def test_an_outage_may_last_for_longer_than_celery_tries_by_itself(build: ModuleBuild, name: str) -> None:
    task = getattr(workflow, name)
    args = [build.pk, 1, *[2] * STEPS[name]]
    task.push_request(id="one", args=args, kwargs={}, called_directly=False, retries=50)
    try:
        with pytest.raises(Retry):
            run(task, failing(Unavailable("Koji is away.")))
    finally:
        task.pop_request()
    assert Wait.objects.filter(celery_task_id="one").exists()
