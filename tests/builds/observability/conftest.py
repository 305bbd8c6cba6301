"""Fixtures of the observability tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builds.observability import log_context, metrics
from builds.selectors import metrics as database_metrics


@pytest.fixture(autouse=True)
def _own_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start with empty metrics and without the log context of an earlier test."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
    metrics.service_metrics.cache_clear()
    for ended in database_metrics.ENDED_COUNTS.values():
        ended.reset()
    log_context.restart()
    log_context._names.clear()
    yield
    metrics.service_metrics.cache_clear()
    log_context.restart()
