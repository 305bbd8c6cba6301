"""Sweeps find lost work, leave the rest alone, and run one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from celery import current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.utils import timezone

import celeryconfig
from builds import dispatch
from builds.messaging import outbox
from builds.models import ComponentBuild, ModuleBuild, OutboxMessage, Phase, Sweep, Wait, clock
from builds.services import slots
from builds.services.lease import Lease
from builds.workflow import advance, sweeps
from buildsys.base import TaskState, TaskStatus
from mbs.states import BuildState, ComponentState
from tests.factories import component_build, module_build, wait

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = timezone.now() - timedelta(hours=1)


@pytest.fixture
def advanced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    numbers: list[int] = []
    monkeypatch.setattr(dispatch, "advance", numbers.append)
    return numbers


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    keys: list[str] = []
    monkeypatch.setattr(dispatch, "wake_waits", lambda waits: keys.extend(wait.key for wait in waits))
    return keys


def recover(queued: float = 0) -> dict[str, int]:
    """The sweep after it has waited ``queued`` seconds in the queue."""
    return sweeps.recover_lost(timezone.now().timestamp() - queued)


def building(**fields) -> ModuleBuild:
    values = {
        "state": BuildState.BUILD,
        "batch": 2,
        "phase": Phase.BUILDING,
        "progress_at": LONG_AGO,
        "run": 1,
    }
    return module_build(**{**values, **fields})


@pytest.mark.parametrize("state", BuildState)
def test_a_build_that_nothing_works_on_is_advanced(state: BuildState, advanced: list[int]) -> None:
    build = module_build(state=state, progress_at=LONG_AGO)
    recover()
    active = state in (BuildState.INIT, BuildState.WAIT, BuildState.BUILD, BuildState.DONE)
    assert advanced == ([build.pk] if active else [])


def test_a_scratch_build_ends_in_done(advanced: list[int]) -> None:
    module_build(state=BuildState.DONE, scratch=True, progress_at=LONG_AGO)
    recover()
    assert advanced == []


def test_waiting_and_recently_changed_builds_are_not_advanced(advanced: list[int]) -> None:
    wait(module_build(state=BuildState.BUILD, progress_at=LONG_AGO, run=1))
    module_build(state=BuildState.BUILD, progress_at=timezone.now())
    recover()
    assert advanced == []


def test_a_wait_of_an_earlier_run_is_no_sign_of_life(advanced: list[int]) -> None:
    """It was stored by a step that was under way when the build was cancelled, and is resumed since."""
    build = module_build(state=BuildState.WAIT, progress_at=LONG_AGO, run=3)
    wait(build, run=1)
    recover()
    assert advanced == [build.pk]


def test_behind_a_long_queue_nothing_is_taken_for_lost(
    advanced: list[int], woken: list[str], option: Callable[..., None]
) -> None:
    option(LOST_AFTER=60, WAKE_AGAIN_AFTER=60)
    build = module_build(state=BuildState.BUILD, progress_at=timezone.now() - timedelta(seconds=200))
    wait(module_build(state=BuildState.BUILD, run=1), woken_at=timezone.now() - timedelta(seconds=100))
    recover(queued=50)
    assert (advanced, woken) == ([], [])
    recover()
    assert (advanced, len(woken)) == ([build.pk], 1)


@pytest.mark.parametrize("state", [None, ComponentState.BUILDING])
def test_a_component_without_a_task_is_found_although_others_wait(
    state: ComponentState | None, advanced: list[int]
) -> None:
    """The others may wait for just its end, or for the slot that is kept for it: for ever."""
    build = building()
    wait(build, component_build=component_build(build), key="slot:1")
    component_build(build, state=state)
    recover()
    assert advanced == [build.pk]


@pytest.mark.parametrize(
    "fields", [{"state": ComponentState.COMPLETE}, {"blocked": True}, {"batch": 3}, {"batch": 1}]
)
def test_a_component_that_needs_no_task_is_not_missed(fields: dict, advanced: list[int]) -> None:
    build = building()
    wait(build, component_build=component_build(build), key="slot:1")
    component_build(build, **fields)
    recover()
    assert advanced == []


def test_a_wait_that_was_woken_in_vain_is_woken_again(woken: list[str]) -> None:
    build = building()
    wait(build, key="never")
    wait(build, key="lately", woken_at=timezone.now())
    wait(build, key="in vain", woken_at=LONG_AGO)
    wait(build, key="tries again soon", woken_at=timezone.now() + timedelta(seconds=60))
    recover()
    assert woken == ["in vain"]


def test_a_wait_whose_wake_was_lost_is_woken(woken: list[str]) -> None:
    build = building()
    states = {"open": ComponentState.BUILDING, "ended": ComponentState.FAILED}
    for key, state in states.items():
        component = component_build(build, state=state, task_id=7)
        wait(build, component_build=component, key=key)
    unsubmitted = component_build(build, state=ComponentState.BUILDING)
    wait(build, component_build=unsubmitted, key="unsubmitted")
    leased = component_build(
        build, state=ComponentState.BUILDING, submitting_until=timezone.now() + timedelta(seconds=60)
    )
    wait(build, component_build=leased, key="is being submitted")
    recover()
    assert sorted(woken) == ["ended", "unsubmitted"]


@pytest.mark.parametrize("limit", [0, 3])
def test_without_a_limit_no_component_waits_for_a_slot(
    limit: int, woken: list[str], option: Callable[..., None]
) -> None:
    option(NUM_CONCURRENT_BUILDS=limit)
    build = building()
    wait(build, component_build=component_build(build), key="slot:1")
    recover()
    assert woken == ([] if limit else ["slot:1"])


def test_waits_of_builds_that_moved_on_are_forgotten() -> None:
    kept = wait(building(run=2), run=2)
    wait(building(run=2), run=1)
    wait(module_build(state=BuildState.READY))
    assert sweeps.stuck_waits()["deleted"] == 2
    assert list(Wait.objects.all()) == [kept]


def test_components_of_an_ended_build_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple] = []
    monkeypatch.setattr(dispatch, "send_now", lambda *task, countdown=0: sent.append(task))
    failed = module_build(state=BuildState.FAILED)
    for build in (failed, building()):
        for _ in range(2):
            component_build(build, state=ComponentState.BUILDING)
    sweeps.stuck_waits()
    assert sent == [("workflow.stop_components", failed.pk)]


def test_one_of_a_kind_runs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two beats, or a slow sweep: the second one leaves it to the first."""
    runs: list[bool] = []

    def nested() -> dict[str, int]:
        runs.append(sweeps.run("outbox"))
        return {"builds": 3}

    monkeypatch.setitem(sweeps.SWEEPS, "outbox", nested)
    assert sweeps.run("outbox")
    assert runs == [False]
    row = Sweep.objects.get(name="outbox")
    assert (row.leased_until, row.result, row.error) == (None, {"builds": 3}, "")


def test_the_lease_of_a_killed_sweep_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sweeps.SWEEPS, "outbox", dict)
    Sweep.objects.create(name="outbox", leased_until=timezone.now() + timedelta(seconds=5))
    assert not sweeps.run("outbox")
    Sweep.objects.update(leased_until=timezone.now() - timedelta(seconds=5))
    assert sweeps.run("outbox")


def test_a_slow_sweep_keeps_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builds.services.lease.SECONDS", 3)
    runs: list[bool] = []

    def slow() -> dict[str, int]:
        for _ in range(6):
            time.sleep(0.8)
            runs.append(sweeps.run("outbox"))
        return {"builds": 1}

    monkeypatch.setitem(sweeps.SWEEPS, "outbox", slow)
    assert sweeps.run("outbox")
    assert runs == [False] * 6
    row = Sweep.objects.get(name="outbox")
    assert (row.leased_until, row.result) == (None, {"builds": 1})


def test_the_error_of_a_sweep_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> dict[str, int]:
        raise ValueError("it broke")

    monkeypatch.setitem(sweeps.SWEEPS, "outbox", broken)
    with pytest.raises(ValueError, match="it broke"):
        sweeps.run("outbox")
    row = Sweep.objects.get(name="outbox")
    assert (row.leased_until, row.error) == (None, "ValueError: it broke")


def test_one_failing_item_does_not_stop_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    builds = [module_build(state=BuildState.INIT, progress_at=LONG_AGO) for _ in range(3)]
    advanced: list[int] = []

    def advance(number: int) -> None:
        if number == builds[1].pk:
            raise RuntimeError("this one is broken")
        advanced.append(number)

    monkeypatch.setattr(dispatch, "advance", advance)
    assert recover() == {"advanced": 2, "failed": 1, "woken": 0}
    assert advanced == [builds[0].pk, builds[2].pk]


def test_a_sweep_whose_time_is_over_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        module_build(state=BuildState.INIT, progress_at=LONG_AGO)

    def slow(number: int) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(dispatch, "advance", slow)
    with pytest.raises(SoftTimeLimitExceeded):
        recover()


def test_a_woken_task_that_has_not_run_yet_is_not_woken_by_polling(woken: list[str]) -> None:
    """On a long queue each round would add a message for each wait."""
    wait(building(), key="repo:a", woken_at=timezone.now())
    wait(building(), key="tag:b", woken_at=LONG_AGO)
    sweeps.open_repos()
    assert woken == []


def test_the_search_for_lost_work_does_not_wait_in_the_queue_that_it_is_about() -> None:
    """It expires, and expired there: then nothing measured how long that queue was."""
    router = current_app.amqp.router
    assert router.route({}, "sweep.lost_work")["queue"].name == "sweeps"
    assert router.route({}, "workflow.recover_lost")["queue"].name == "workflow"


def test_those_whose_repositories_are_under_way_are_left_alone(
    woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []

    class Hub:
        def repos_under_way(self, requests: list[int]) -> set[int]:
            asked.append(requests)
            return {7, 8}

    monkeypatch.setattr(sweeps, "build_system", Hub)
    for number, key in ((7, "repo:a"), (8, "tag:b"), (9, "repo:c"), (None, "repo:d")):
        wait(building(new_repo_task_id=number, phase=Phase.REGENERATING), key=key)
    sweeps.open_repos()
    assert (asked, sorted(woken)) == ([[7, 9]], ["repo:c", "repo:d", "tag:b"])


def test_a_queue_of_sweeps_that_waited_is_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an outage of the workers; nothing is dropped by the clock of a machine."""
    runs: list[int] = []
    monkeypatch.setitem(sweeps.SWEEPS, "outbox", lambda: runs.append(1) or {})
    assert [sweeps.run("outbox", 60) for _ in range(3)] == [True, False, False]
    Sweep.objects.update(started_at=timezone.now() - timedelta(seconds=31))
    assert sweeps.run("outbox", 60)
    Sweep.objects.update(started_at=timezone.now() + timedelta(hours=1))
    assert sweeps.run("outbox", 60)
    assert sweeps.run("outbox")
    assert len(runs) == 4


def test_no_sweep_is_dropped_because_two_clocks_differ_by_an_hour() -> None:
    for name, entry in celeryconfig.beat_schedule.items():
        assert entry["options"]["expires"] > 3600, name
        assert entry["args"] == (entry["schedule"],), name


@pytest.fixture
def _an_hour_ahead(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clock of this process is wrong; that of the database is right."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no clock of its own.")
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(hours=1))
    clock._clock.cache_clear()
    yield
    clock._clock.cache_clear()


def unpublished(build: ModuleBuild) -> None:
    OutboxMessage.objects.create(module_build=build, topic="a", body={}, created_at=database_time())


def database_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


@pytest.mark.usefixtures("_an_hour_ahead")
def test_a_process_with_a_wrong_clock_leaves_no_lease_that_outlives_it() -> None:
    build = building()
    component = component_build(build)
    assert slots.claim(build, [component])
    unpublished(build)
    assert outbox._lease(build.pk)
    Sweep.objects.create(name="outbox")
    assert Lease(Sweep.objects.filter(name="outbox"), "leased_until", "outbox").take()
    build.refresh_from_db()
    component.refresh_from_db()
    soon = database_time() + timedelta(minutes=10)
    assert component.submitting_until < soon
    assert build.publishing_until < soon
    assert Sweep.objects.get().leased_until < soon
    advance.advance(build.pk)
    build.refresh_from_db()
    assert build.progress_at < soon


@pytest.mark.usefixtures("_an_hour_ahead")
def test_a_process_with_a_wrong_clock_takes_no_lease_of_others(advanced: list[int]) -> None:
    build = module_build(state=BuildState.INIT, progress_at=database_time())
    until = database_time() + timedelta(seconds=20)
    Sweep.objects.create(name="outbox", leased_until=until)
    unpublished(build)
    ModuleBuild.objects.update(publishing_until=until)
    assert not Lease(Sweep.objects.filter(name="outbox"), "leased_until", "outbox").take()
    assert outbox._lease(build.pk) is None
    sweeps.recover_lost(clock.now().timestamp())
    assert advanced == []


def test_a_holder_that_was_overtaken_cannot_renew_nor_give_back() -> None:
    Sweep.objects.create(name="outbox")
    lease = Lease(Sweep.objects.filter(name="outbox"), "leased_until", "outbox")
    assert lease.take()
    other = timezone.now() + timedelta(seconds=7)
    Sweep.objects.update(leased_until=other)
    lease.end(error="nobody should read this")
    row = Sweep.objects.get()
    assert (row.leased_until, row.error) == (other, "")


def test_unchanged_components_cost_one_statement_together(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Callable
) -> None:
    monkeypatch.setattr(sweeps, "CHUNK", 10)
    for number in range(25):
        component_build(building(), state=ComponentState.BUILDING, task_id=number + 1, task_url="u")

    class Hub:
        def recover(self, numbers: list[int]) -> None:
            assert len(numbers) <= 10

        def statuses(self, numbers: list[int]) -> list[TaskStatus]:
            return [TaskStatus(number, TaskState.OPEN, url="u") for number in numbers]

        def find(self, jobs: list) -> list[None]:
            return [None for _ in jobs]

    monkeypatch.setattr(sweeps, "build_system", Hub)
    monkeypatch.setattr("builds.services.duplicate_tasks.build_system", Hub)
    with django_assert_max_num_queries(4 + 3):
        assert sweeps.open_builds() == {"open": 25, "builds": 0}
    failed = TaskStatus(17, TaskState.FAILED, reason="it broke")
    monkeypatch.setattr(
        Hub, "statuses", lambda self, numbers: [failed] if 17 in numbers else [], raising=True
    )
    assert sweeps.open_builds() == {"open": 25, "builds": 1}
    (ended,) = ComponentBuild.objects.filter(state=ComponentState.FAILED)
    assert (ended.task_id, ended.state_reason) == (17, "it broke")


def test_tasks_that_may_hang_with_the_build_system_have_their_own_queue() -> None:
    """Outbox and waits are looked after by workers that ask nobody but the database."""
    router = current_app.amqp.Router(current_app.amqp.queues)
    queues = {name: router.route({}, f"sweep.{name}")["queue"].name for name in sweeps.SWEEPS}
    assert {name for name, queue in queues.items() if queue == "polls"} == {
        "build_system",
        "samples",
        "open_builds",
        "failed_builds",
        "open_repos",
        "lost_tags",
        "old_targets",
        "old_failures",
        "subscriptions",
    }
    assert queues["outbox"] == queues["stuck_waits"] == "sweeps"
