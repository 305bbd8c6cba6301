"""Alert rules, dashboards and the page about monitoring name existing metrics."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from django.test import Client

from builds.models import Sweep
from builds.observability import metrics
from builds.services.build_system import instrument
from buildsys.simulated import SimulatedBuildSystem
from tests.deploy import queries

PATH = "/module-build-service/2/monitor/metrics"


@pytest.fixture
def exposed(db: None, client: Client, redis_url: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the metrics of a service in which something of everything has happened."""
    from django.utils import timezone

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
    metrics.service_metrics.cache_clear()
    now = timezone.now()
    Sweep.objects.create(name="outbox", started_at=now, finished_at=now)
    instrument(SimulatedBuildSystem(tmp_path / "books", send=lambda *_: None)).expected_seconds([])
    metrics.service_metrics().reaction_seconds.labels("workflow.prepare").observe(0.1)
    client.get("/health/live")
    text = client.get(PATH).content.decode()
    metrics.service_metrics.cache_clear()
    return set(re.findall(r"^(\w+)", text, re.MULTILINE))


@pytest.mark.parametrize("query", queries.of_rules() + queries.of_dashboard())
def test_every_metric_that_a_query_names_is_exposed(query: str, exposed: set[str]) -> None:
    named = queries.metrics(query)
    assert named or query == 'up{job="mbs"} == 0'
    assert named <= exposed


def test_the_page_about_monitoring_names_every_metric_and_no_other(exposed: set[str]) -> None:
    page = (queries.DEPLOY.parent / "docs/monitoring.md").read_text("utf-8")
    described = re.findall(r"`((?:builds|mbs|messaging)_\w+)(?:\{\w+(?:,\w+)*\})?`(?=[^\n]*\|)", page)
    assert set(described) == {re.sub("_(bucket|count|sum)$", "", name) for name in exposed}


def test_the_test_would_notice_a_wrong_name(exposed: set[str]) -> None:
    assert queries.metrics('sum by (le) (rate(mbs_no_such{a="b"}[5m])) / time()') == {"mbs_no_such"}
    assert "mbs_no_such" not in exposed


def test_there_are_rules_and_panels() -> None:
    assert len(queries.of_rules()) >= 10
    assert len(queries.of_dashboard()) >= 20


def test_prometheus_itself_finds_no_fault_in_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("Prometheus is not installed: deploy/system-packages test")
    for command in (["rules", queries.RULES], ["config", queries.DEPLOY / "prometheus.yml"]):
        checked = subprocess.run([promtool, "check", *command], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
