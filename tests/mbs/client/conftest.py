"""Fixtures of the client's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mbs.client import address
from tests.mbs.client.fake_server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that keeps builds in memory."""
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without a known service and without access to the user's files."""
    for name in ("MBS_SERVER", "MBS_TOKEN", "MBS_OWNER", "MBS_DATA_DIR", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(address, "CHECKOUT", tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path
