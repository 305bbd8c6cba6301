"""Fixtures of the consumer's tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from fedora_messaging.message import Message

from builds.consumers import callback
from builds.models import ComponentBuild, ModuleBuild, Wait
from builds.services import confirmation
from builds.services.build_system import build_system
from tests import factories
from tests.builds.workflow import simulated as books


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses in seconds that the callback would have made."""
    made: list[float] = []
    monkeypatch.setattr(callback, "sleep", made.append)
    return made


@pytest.fixture
def ended(tmp_path: Path) -> Callable[..., None]:
    """Make the build system report the end of a submission: ``ended(7, "bash-5-1")``."""
    build_system.cache_clear()
    confirmation._Outage.until = 0.0
    return partial(books.end, tmp_path)


@pytest.fixture
def receive(
    db: None,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> Callable[..., None]:
    """Pass a message to the callback like fedora-messaging does: ``receive(topic, body)``.

    The connection stays open, as in Django's test client, because it holds the test's transaction.
    """
    monkeypatch.setattr(callback, "close_old_connections", lambda: None)
    consume = callback.Callback()

    def receiving(topic: str, body: object) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            consume(Message(topic=topic, body=body))

    return receiving


@pytest.fixture
def park(redis_url: str) -> Callable[[ModuleBuild, str], Wait]:
    """Park a task that can be sent again."""

    def parking(build: ModuleBuild, key: str, component: ComponentBuild | None = None) -> Wait:
        signature = dict(current_app.signature("test.nothing", (build.pk,)))
        return factories.wait(build, key=key, signature=signature, component_build=component)

    return parking
