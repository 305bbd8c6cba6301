"""Tasks are sent after the commit only, and an error of the broker does not undo the commit."""

from __future__ import annotations

import pytest
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import OutOfMemoryError, ResponseError

from builds import dispatch
from builds.models import ModuleBuild
from builds.tasks import builder
from tests.factories import module_build, wait

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    tasks: list[tuple] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **_: tasks.append((name, *args)))
    return tasks


@pytest.fixture(params=[OperationalError, ResponseError, OutOfMemoryError])
def away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that takes nothing: it is away, or full."""

    def failing(*_: object, **__: object) -> None:
        raise request.param("no broker")

    monkeypatch.setattr(current_app, "send_task", failing)
    monkeypatch.setattr("celery.canvas.Signature.apply_async", failing)


def test_a_task_is_sent_after_commit(sent: list[tuple]) -> None:
    with transaction.atomic():
        dispatch.advance(7)
        assert sent == []
    assert sent == [("workflow.advance", 7)]


def test_nothing_is_sent_for_what_was_rolled_back(sent: list[tuple]) -> None:
    with transaction.atomic():
        dispatch.advance(7)
        transaction.set_rollback(True)
    assert sent == []


def test_a_broker_that_is_away_does_not_undo_or_refuse_anything(away: None) -> None:
    with transaction.atomic():
        build = module_build()
        parked = wait(build, signature={"task": "workflow.prepare", "args": [build.pk, 1], "options": {}})
        dispatch.advance(build.pk)
        dispatch.wake(parked.key)
    assert ModuleBuild.objects.filter(pk=build.pk).exists()
    parked.refresh_from_db()
    assert parked.woken_at is None


def test_one_failing_hook_does_not_keep_the_others_from_running(
    sent: list[tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(dispatch, "_wake", broken)
    with transaction.atomic():
        dispatch.wake("component:1")
        dispatch.advance(7)
    assert sent == [("workflow.advance", 7)]


def test_builds_of_our_own_workers_may_take_days() -> None:
    """Without limits of its own a task has those of the steps of the workflow: five minutes."""
    task = builder.run
    assert task.time_limit > task.soft_time_limit > 7 * 24 * 3600 > current_app.conf.task_time_limit
