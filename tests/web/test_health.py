from __future__ import annotations

import pytest
from celery import current_app
from django.test import Client
from django.utils import timezone

from builds.models import Sweep

pytestmark = pytest.mark.django_db


def test_a_process_that_answers_is_alive(client: Client) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}


def test_without_workers_the_service_is_not_ready_and_says_what_is_missing(client: Client) -> None:
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "database": "ok",
        "broker": "ok",
        "worker": "none answers",
        "beat": "has never ticked",
    }


def test_with_everything_there_the_service_is_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    Sweep.objects.create(name="outbox", started_at=timezone.now())
    monkeypatch.setattr(type(current_app.control), "ping", lambda *_, **__: [{"worker": "pong"}])
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


def test_a_broker_that_is_away_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app.conf, "broker_write_url", "redis://127.0.0.1:1/0")
    assert client.get("/health/ready").json()["checks"]["broker"] == "away"
