"""``mbs watch --notify``."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mbs.client.cli import main
from tests.mbs.client.fake_server import FakeServer, module_build


@pytest.fixture(autouse=True)
def ended(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """A server with a build that is ready and one that failed."""
    monkeypatch.setenv("MBS_SERVER", server.url)
    server.add(module_build(1, "ready"))
    server.add(module_build(2, "failed", name="-x\x1b[31m"))
    return server


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that stands for the desktop's; the file holds the arguments that it got."""
    told = tmp_path / "told"
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{told}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return told


def test_the_desktop_is_notified_of_failed_builds(desktop: Path) -> None:
    result = CliRunner().invoke(main, ["watch", "1", "2", "--notify"])
    assert result.exit_code == 1
    *options, title, line = desktop.read_text().splitlines()
    assert options[-1] == "--"
    assert "--urgency=critical" in options
    assert (title, line) == ("A module build failed", "2 -x\\x1b[31m:1:20230101000000:c2 failed")
    assert "\a" not in result.stderr


def test_without_a_desktop_the_bell_rings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(main, ["watch", "1", "--notify"])
    assert (result.exit_code, result.stderr) == (0, "\a")


def test_no_notification_is_shown_without_the_option(desktop: Path) -> None:
    assert CliRunner().invoke(main, ["watch", "1"]).stderr == ""
    assert not desktop.exists()
