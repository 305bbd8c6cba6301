"""Metrics of Prometheus."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from celery import current_app
from celery.app.task import Context
from celery.signals import task_postrun, task_prerun
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds import dispatch
from builds.messaging import outbox
from builds.messaging.publishers import BusUnavailable, MemoryPublisher
from builds.models import ComponentBuild, OutboxMessage, Sweep
from builds.observability import metrics
from builds.selectors import metrics as database_metrics
from builds.services import transitions
from builds.services.build_system import instrument
from buildsys.base import BuildSystemUnavailable, RunsBuilds
from buildsys.simulated import SimulatedBuildSystem
from mbs.errors import MBSError
from mbs.states import BuildState, ComponentState
from tests import factories
from tests.processes import ROOT

pytestmark = pytest.mark.django_db

#: the names of the reference that clients and dashboards know
NAMES = [
    *("messaging_rx", "messaging_rx_processed_ok", "messaging_rx_failed"),
    *("messaging_tx_to_send", "messaging_tx_sent_ok", "messaging_tx_failed", "builds_success"),
]


@pytest.fixture
def ask(client: Client) -> Any:
    """``ask(line)``: the value of a line of the answer, such as ``mbs_builds{state="ready"}``."""

    def value(line: str, version: int = 2) -> float | None:
        answer = client.get(f"/module-build-service/{version}/monitor/metrics")
        assert answer.status_code == 200
        found = re.search(rf"^{re.escape(line)} (\S+)$", answer.content.decode(), re.MULTILINE)
        return float(found[1]) if found else None

    return value


@pytest.mark.parametrize("version", [1, 2])
def test_the_figures_of_the_reference_are_there_from_the_start(ask: Any, version: int) -> None:
    for name in NAMES:
        assert ask(f"{name}_total", version) == 0
    for reason in ("user", "infra", "unspec"):
        assert ask(f'builds_failed_total{{reason="{reason}"}}', version) == 0


def test_the_answer_is_the_text_format_of_prometheus_and_open_to_all(client: Client) -> None:
    answer = client.get("/module-build-service/2/monitor/metrics/")
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert client.post("/module-build-service/2/monitor/metrics").status_code == 405


def test_counts_of_several_processes_are_added_up_and_survive_them(ask: Any) -> None:
    code = (
        "import django; django.setup(); from builds.observability.metrics import service_metrics;"
        " service_metrics().received.inc(3); service_metrics().requests.labels('GET', 'x', 200).inc(2);"
        " service_metrics().reaction_seconds.labels('s').observe(0.3)"
    )
    for processes in (2, 4):
        for _ in range(2):
            subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        metrics.service_metrics().received.inc()
        assert ask("messaging_rx_total") == 3.5 * processes
        assert ask('mbs_http_requests_total{method="GET",route="x",status="200"}') == 2 * processes
        assert ask('mbs_reaction_seconds_bucket{le="0.1",step="s"}') == 0
        assert ask('mbs_reaction_seconds_bucket{le="0.5",step="s"}') == processes
        assert ask('mbs_reaction_seconds_count{step="s"}') == processes


def test_files_of_ended_processes_are_merged_into_one_set(ask: Any, tmp_path: Path) -> None:
    code = (
        "import django; django.setup(); "
        "from builds.observability.metrics import service_metrics; service_metrics()"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert ask("messaging_rx_total") == 0
    names = {path.name for path in (tmp_path / "metrics").glob("*.db")}
    mine = {f"{kind}_{os.getpid()}.db" for kind in ("counter", "histogram")}
    assert names - mine == {"counter_ended.db"}


def test_builds_and_components_are_counted_by_state(ask: Any) -> None:
    factories.module_build(state=BuildState.READY, components=3)
    failed = factories.module_build(state=BuildState.FAILED)
    factories.component_build(failed, state=ComponentState.FAILED)
    factories.component_build(failed, state=None)
    assert ask('mbs_builds{state="ready"}') == 1
    assert ask('mbs_builds{state="failed"}') == 1
    assert ask('mbs_builds{state="wait"}') == 0
    assert ask('mbs_components{state="complete"}') == 3
    assert ask('mbs_components{state="failed"}') == 1
    assert ask('mbs_components{state="none"}') == 1


def test_counts_of_ended_rows_are_kept_for_a_while(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.5, 300.0, 700.0, 700.5])
    ended = database_metrics.EndedCounts(ComponentBuild, [ComponentState.COMPLETE])
    monkeypatch.setattr("builds.selectors.metrics.time.monotonic", lambda: next(clock))
    counts = []
    for _ in range(3):
        factories.module_build(state=BuildState.READY, components=1)
        counts.append(ended.counts())
    assert counts == [
        {ComponentState.COMPLETE: 1},
        {ComponentState.COMPLETE: 1},
        {ComponentState.COMPLETE: 3},
    ]


def test_metrics_have_the_age_of_the_oldest_wait_of_each_kind(ask: Any) -> None:
    build = factories.module_build(state=BuildState.BUILD)
    now = timezone.now()
    for key, hours in (("component:1", 3), ("component:2", 1), ("slot:3", 2)):
        factories.wait(build, key=key, created_at=now - timedelta(hours=hours))
    assert ask('mbs_oldest_wait_age_seconds{kind="component"}') == pytest.approx(3 * 3600, abs=60)
    assert ask('mbs_oldest_wait_age_seconds{kind="slot"}') == pytest.approx(2 * 3600, abs=60)
    assert ask('mbs_oldest_wait_age_seconds{kind="repo"}') == 0


def test_unconfirmed_messages_are_counted(ask: Any) -> None:
    build = factories.module_build()
    old = timezone.now() - timedelta(minutes=10)
    for published_at in (None, None, timezone.now()):
        OutboxMessage.objects.create(
            module_build=build, topic="t", body={}, created_at=old, published_at=published_at
        )
    assert ask("mbs_outbox_depth") == 2
    assert ask("mbs_outbox_age_seconds") == pytest.approx(600, abs=60)


def test_metrics_have_begin_duration_and_result_of_sweeps(ask: Any) -> None:
    began = timezone.now() - timedelta(minutes=1)
    Sweep.objects.create(name="outbox", started_at=began, finished_at=began + timedelta(seconds=2))
    Sweep.objects.create(name="lost_work", started_at=began, finished_at=began, error="It broke.")
    Sweep.objects.create(name="open_repos", started_at=began)
    assert ask('mbs_sweep_duration_seconds{sweep="outbox"}') == 2
    assert ask('mbs_sweep_started_timestamp_seconds{sweep="open_repos"}') == pytest.approx(began.timestamp())
    assert ask('mbs_sweep_duration_seconds{sweep="open_repos"}') is None
    assert ask('mbs_sweep_failed{sweep="outbox"}') == 0
    assert ask('mbs_sweep_failed{sweep="lost_work"}') == 1


def test_metrics_do_not_read_the_results_of_sweeps(ask: Any) -> None:
    """That of the sweep ``forecast`` may have megabytes."""
    with CaptureQueriesContext(connection) as queries:
        ask("mbs_outbox_depth")
    (read,) = [query["sql"] for query in queries if 'FROM "builds_sweep"' in query["sql"]]
    assert "result" not in read


@pytest.mark.usefixtures("empty_broker")
def test_tasks_that_wait_for_a_worker_are_counted_by_queue(ask: Any) -> None:
    for _ in range(3):
        current_app.send_task("sweep.nothing", queue="sweeps")
    assert ask("mbs_broker_up") == 1
    assert ask('mbs_queue_depth{queue="sweeps"}') == 3
    assert ask('mbs_queue_depth{queue="builds"}') == 0


def test_without_broker_or_database_the_other_metrics_are_served(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr(current_app.conf, "broker_write_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(database_metrics, "_of_database", away)
    assert ask("mbs_broker_up") == 0
    assert ask("mbs_database_up") == 0
    assert ask("builds_success_total") == 0
    assert ask("mbs_outbox_depth") is None


def test_requests_are_counted_by_route_whatever_the_numbers_in_them(ask: Any, client: Client) -> None:
    for number in (1, 2, 3):
        client.get(f"/module-build-service/2/module-builds/{number}")
    client.get("/no/such/page")
    client.generic("BREW", "/health/live")
    route = 'route="module-build-service/<version>/module-builds/<pk>"'
    assert ask(f'mbs_http_requests_total{{method="GET",{route},status="404"}}') == 3
    assert ask(f'mbs_http_request_seconds_count{{method="GET",{route}}}') == 3
    assert ask('mbs_http_requests_total{method="GET",route="none",status="404"}') == 1
    assert ask('mbs_http_requests_total{method="other",route="health/live",status="405"}') == 1


def test_calls_of_the_build_system_are_counted_and_timed(ask: Any, tmp_path: Any) -> None:
    system = SimulatedBuildSystem(tmp_path / "books", send=lambda *_: None)

    def away(*_: object) -> None:
        raise BuildSystemUnavailable("gone")

    system.cancel = away
    system = instrument(system)
    assert isinstance(system, RunsBuilds)
    assert system.statuses([]) == []
    with pytest.raises(BuildSystemUnavailable):
        system.cancel([1])
    assert ask('mbs_build_system_calls_total{method="statuses",outcome="ok"}') == 1
    assert ask('mbs_build_system_calls_total{method="cancel",outcome="error"}') == 1
    assert ask('mbs_build_system_call_seconds_count{method="cancel"}') == 1


def test_the_reaction_to_an_event_is_timed_from_the_wake(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr("celery.canvas.Signature.apply_async", lambda self: sent.append(self.options))
    signature = {"task": "workflow.prepare", "args": [1, 1], "options": {"headers": {"mbs_parked": True}}}
    dispatch.wake_waits([factories.wait(factories.module_build(), signature=signature)])
    headers = sent[0]["headers"]
    assert headers["mbs_parked"] is True
    for retries in (0, 1):  # a second try reacts to nothing new
        task = Mock(request=Context(headers=headers, retries=retries))
        task.name = "workflow.prepare"
        task_prerun.send(sender=task, task_id="t", task=task, args=())
        task_postrun.send(sender=task, task_id="t", task=task, args=())
    assert ask('mbs_reaction_seconds_count{step="workflow.prepare"}') == 1
    assert ask('mbs_reaction_seconds_bucket{le="10.0",step="workflow.prepare"}') == 1


@pytest.fixture
def committing(django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(dispatch, "send_now", lambda *_, **__: None)
    return lambda: django_capture_on_commit_callbacks(execute=True)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("component_failed", "user"),
        ("canceled", "user"),
        ("components_unavailable", "user"),
        ("internal_error", "infra"),
        ("koji_login_failed", "infra"),
        ("worker_lost", "infra"),
    ],
)
def test_failures_are_counted_by_whose_fault_they_are(
    ask: Any, committing: Any, code: str, reason: str
) -> None:
    build = factories.module_build(state=BuildState.BUILD)
    with committing():
        transitions.fail(build.pk, MBSError("It broke.", code=code))
        transitions.fail(build.pk, MBSError("It broke again.", code=code))
    for each in metrics.REASONS:
        assert ask(f'builds_failed_total{{reason="{each}"}}') == (each == reason)
    assert ask("builds_success_total") == 0


def test_a_build_counts_as_a_success_when_it_is_done(ask: Any, committing: Any) -> None:
    build = factories.module_build(state=BuildState.BUILD)
    with committing():
        transitions.move(build, BuildState.DONE, BuildState.READY)
    assert ask("builds_success_total") == 1


def test_messages_are_counted_when_written_confirmed_and_refused(
    ask: Any, committing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = factories.module_build()
    with committing():
        outbox.add(build.pk, [("a", {}), ("b", {})])
    assert (ask("messaging_tx_to_send_total"), ask("messaging_tx_sent_ok_total")) == (2, 2)

    def refuse(*_: object) -> int:
        raise BusUnavailable("gone")

    monkeypatch.setattr(MemoryPublisher, "publish", refuse)
    with committing():
        outbox.add(build.pk, [("c", {})])
    assert (ask("messaging_tx_to_send_total"), ask("messaging_tx_sent_ok_total")) == (3, 2)
    assert ask("messaging_tx_failed_total") == 1


def test_rolled_back_changes_are_not_counted(ask: Any, committing: Any) -> None:
    build = factories.module_build(state=BuildState.BUILD)
    with committing():
        try:
            with transaction.atomic():
                transitions.fail(build.pk, MBSError("It broke."))
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    assert ask('builds_failed_total{reason="infra"}') == 0
    assert ask("messaging_tx_to_send_total") == 0
