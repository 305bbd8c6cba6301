"""Fixtures of the tests of the local build system."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.buildsys.packages import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A local build system with a prepared module build."""
    return Bench(tmp_path / "local")
