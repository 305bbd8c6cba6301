"""Database connections of workers between tasks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from config import celery


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A connection that Django checks before its next use, as after ``close_old_connections``."""
    connection = SimpleNamespace(health_check_done=False)
    monkeypatch.setattr(celery, "connection", connection)
    monkeypatch.setattr(celery, "close_old_connections", lambda: None)
    monkeypatch.setattr(celery._Connections, "trusted_until", 0.0)
    return connection


def test_a_connection_is_checked_unless_a_task_has_just_used_it(
    connection: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(celery, "time", SimpleNamespace(monotonic=lambda: now))
    celery._drop_broken_connections()
    assert not connection.health_check_done
    celery._trust_connections()
    now += celery._TRUSTED / 2
    celery._drop_broken_connections()
    assert connection.health_check_done
    connection.health_check_done = False
    now += celery._TRUSTED
    celery._drop_broken_connections()
    assert not connection.health_check_done
