"""Tasks of steps: parking, retries, giving up, and the rows that remain."""

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
from builds.workflow import sweeps
from builds.workflow.outcomes import Obsolete, Park
from builds.workflow.parking import PARKED, perform
from mbs.errors import MBSError, Unavailable
from mbs.states import BuildState
from tests.factories import module_build

pytestmark = pytest.mark.django_db(transaction=True)
Option = Callable[..., None]
PARK = Park("tag:x", "what was built is being tagged", "the build system's report of the tags")
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
def test_a_task_that_is_given_up_deletes_its_wait(task: Task, goes_on: bool) -> None:
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


def test_an_unexpected_error_is_tried_again_and_people_can_see_it(task: Task) -> None:
    with pytest.raises(Retry):
        run(task, failing(ZeroDivisionError("oh")))
    wait = Wait.objects.get()
    told = "an unexpected error of the service: ZeroDivisionError: oh (try 1 of 10 failed)"
    assert (wait.key, wait.what, wait.wakes_on) == ("retry:one", told, "another try")
    assert wait.woken_at > timezone.now()
    task.request.update(retries=1, headers={PARKED: True})
    assert run(task, lambda *_: None) == []
    assert not Wait.objects.exists()
    assert not TaskCrash.objects.exists()


def test_an_unexpected_error_that_stays_is_recorded_with_its_kind(task: Task, option: Option) -> None:
    option(MAX_TASK_TRIES=3)
    for _ in range(2):
        with pytest.raises(Retry):
            run(task, failing(ZeroDivisionError("oh")))
    (error,) = run(task, failing(ZeroDivisionError("oh")), goes_on=True)
    assert error.message == "workflow.tag_batch failed (ZeroDivisionError: oh); it was tried 3 times."
    assert error.code == "internal_error"
    assert not Wait.objects.exists()
    assert not TaskCrash.objects.exists()


def test_a_fault_of_the_input_is_recorded_at_once(task: Task) -> None:
    (error,) = run(task, failing(MBSError("It broke.", code="broken")), goes_on=True)
    assert error.code == "broken"


def test_a_step_that_hangs_is_tried_again_a_bounded_number_of_times(task: Task, option: Option) -> None:
    option(MAX_TASK_TRIES=4)
    hanging = failing(SoftTimeLimitExceeded())
    for _ in range(3):
        with pytest.raises(Retry):
            run(task, hanging)
    (error,) = run(task, hanging, goes_on=True)
    assert "workflow.tag_batch hung" in error.message


def redelivered(task: Task, step: Callable[..., object]) -> list[MBSError]:
    """Perform a step whose message a dead worker has given back; when it is put off, when it comes again."""
    task.request.delivery_info = {"redelivered": True}
    try:
        return run(task, step, goes_on=True)
    except Retry:
        # As the message has it that is sent then.
        task.request.update(delivery_info={}, retries=task.request.retries + 1, headers={PARKED: True})
        return run(task, step, goes_on=True)


def test_deaths_of_a_worker_for_the_reasons_of_others_fail_nothing(task: Task) -> None:
    """Deployments, or a neighbour that takes all memory: the task ran each time, and in the end it does."""
    for _ in range(4):
        with pytest.raises(SystemExit):
            redelivered(task, failing(SystemExit()))
    assert redelivered(task, lambda *_: None) == []
    assert not TaskCrash.objects.exists()
    assert not Wait.objects.exists()


def test_after_a_second_death_a_step_waits_and_people_can_see_it(task: Task) -> None:
    task.request.delivery_info = {"redelivered": True}
    with pytest.raises(SystemExit):
        run(task, failing(SystemExit()))
    with pytest.raises(Retry):
        run(task, lambda *_: None)
    assert "The worker of workflow.tag_batch died 2 times in a row" in Wait.objects.get().what


def test_a_step_that_always_kills_its_worker_is_given_up(task: Task, option: Option) -> None:
    option(MAX_TASK_TRIES=4)
    for _ in range(3):
        with pytest.raises(SystemExit):
            redelivered(task, failing(SystemExit()))
    (error,) = redelivered(task, failing(SystemExit()))
    assert error.code == "worker_lost"


def test_crashes_that_are_further_apart_than_an_hour_are_not_in_a_row(task: Task) -> None:
    for _ in range(3):
        with pytest.raises(SystemExit):
            redelivered(task, failing(SystemExit()))
        task.request.update(retries=0, headers={})
        TaskCrash.objects.update(last_at=timezone.now() - timedelta(hours=1))
    assert TaskCrash.objects.get().count == 1
    sweeps.clean_up()
    assert not TaskCrash.objects.exists()


@pytest.mark.parametrize("outcome", [None, PARK])
def test_a_redelivered_task_that_ends_is_not_counted_as_a_crash(task: Task, outcome: Park | None) -> None:
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
