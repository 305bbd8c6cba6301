"""Liveness and readiness."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from datetime import timedelta

import pytest
from celery import current_app
from django.test import Client
from django.utils import timezone

from builds.models import Sweep
from builds.services import health
from tests.processes import wait_for

# What is asked is asked in other threads, which see what was committed.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither Celery's connections to a broker that another test has replaced, nor a check that it began."""
    monkeypatch.setattr(current_app._get_current_object(), "_pool", None)
    yield
    wait([check.future for check in health._pending.values()], timeout=60)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much time as the slowest machine needs."""
    monkeypatch.setattr("builds.services.health.TIMEOUT", 30.0)


def test_a_process_that_answers_is_alive(client: Client) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}


@pytest.mark.usefixtures("patient")
def test_without_workers_the_service_is_not_ready_and_names_the_missing_part(client: Client) -> None:
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "database": "ok",
        "broker": "ok",
        "worker": "none answers",
        "beat": "has never ticked",
        "build_system": "not checked yet",
    }


@pytest.mark.usefixtures("patient")
def test_with_everything_there_the_service_is_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    Sweep.objects.create(name="outbox", started_at=timezone.now())
    monkeypatch.setattr(type(current_app.control), "ping", lambda *_, **__: [{"worker": "pong"}])
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("error", "age", "said"),
    [
        ("", 0, "ok"),
        ("The hub does not answer.", 0, "away: The hub does not answer."),
        ("", 3600, "last answer 36"),
    ],
)
def test_a_build_system_that_is_away_is_named_and_takes_no_server_out_of_service(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: str, age: int, said: str
) -> None:
    now = timezone.now()
    Sweep.objects.create(name="outbox", started_at=now)
    asked = now - timedelta(seconds=age)
    Sweep.objects.create(name="build_system", started_at=asked, finished_at=asked, error=error)
    monkeypatch.setattr(type(current_app.control), "ping", lambda *_, **__: [{"worker": "pong"}])
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert answer.json()["checks"]["build_system"].startswith(said)


@pytest.mark.usefixtures("patient")
def test_a_broker_that_is_away_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app.conf, "broker_write_url", "redis://127.0.0.1:1/0")
    assert client.get("/health/ready").json()["checks"]["broker"] == "away"


def test_a_check_that_hangs_already_delays_no_further_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = threading.Event()
    monkeypatch.setattr("builds.services.health._broker", lambda: gone.wait(60) and "ok")
    started = time.monotonic()
    answers = [client.get("/health/ready") for _ in range(50)]
    passed = time.monotonic() - started
    gone.set()
    assert {answer.json()["checks"]["broker"] for answer in answers} == {"does not answer"}
    # Waiting each time takes 40 seconds.
    assert passed < 30


def test_a_hanging_check_does_not_delay_the_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    monkeypatch.setattr("builds.services.health._database", lambda: gone.wait(20) and "ok")
    monkeypatch.setattr("builds.services.health._beat", lambda: gone.wait(20) and "ok")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(
            current_app.conf, "broker_write_url", f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        )
        started = time.monotonic()
        answers = [client.get("/health/ready") for _ in range(3)]
        passed = time.monotonic() - started
    gone.set()
    assert {answer.status_code for answer in answers} == {503}
    for answer in answers:
        for name in ("database", "broker", "beat"):
            assert answer.json()["checks"][name] in ("does not answer", "away")
    # Far from the 20 seconds that the database would have taken, however slow this machine is.
    assert passed < 15
    wait_for(lambda: client.get("/health/ready").json()["checks"]["database"] == "ok")
