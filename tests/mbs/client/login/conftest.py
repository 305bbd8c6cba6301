"""Fixtures: a server, and a user without a keyring."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mbs.client import provider
from tests.builds.services.auth.oidc_provider import Issuer


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration folder of a user without a keyring."""
    monkeypatch.delenv("MBS_TOKEN", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setitem(sys.modules, "keyring", None)
    return tmp_path / "config" / "mbs"


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the command has waited, without waiting."""
    slept: list[float] = []
    monkeypatch.setattr(provider, "sleep", slept.append)
    return slept


@pytest.fixture(autouse=True)
def server(
    live_server: Any,
    redis_url: str,
    verifying: Issuer,
    option: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The server of the commands, with a provider."""
    option(OIDC_DEVICE_CLIENT="mbs-cli")
    monkeypatch.setenv("MBS_SERVER", live_server.url)
    return str(live_server.url)
