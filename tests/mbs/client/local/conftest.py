"""Modules that are built locally."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gitrepos import make_repo
from tests.mbs.client.local.documents import MODULEMD, TEXT
from tests.mbs.client.local.workshop import Workshop


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of the module quiet, on the branch 1.10."""
    folder = tmp_path / "quiet"
    make_repo(folder, {"quiet.yaml": TEXT}, branch="1.10")
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    """A module file that buildrequires these streams of the platform."""

    def write(platform: str) -> Path:
        path = tmp_path / "alone" / "quiet.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(MODULEMD.format(platform=platform))
        return path

    return write


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Repositories in a temporary folder, and the command."""
    return Workshop(tmp_path, monkeypatch)
