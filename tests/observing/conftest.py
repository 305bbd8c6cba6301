from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builds.observing import context, metrics
from builds.selectors import figures


@pytest.fixture(autouse=True)
def _own_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Figures that begin at nothing, and no context of an earlier test."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
    metrics.shared.cache_clear()
    for ended in figures.ENDED.values():
        ended.forget()
    context.begin()
    context._names.clear()
    yield
    metrics.shared.cache_clear()
    context.begin()
