"""``mbs completion``, and the values that a shell completes."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from mbs.client import completing
from mbs.client.cli import main
from tests.mbs.client.fake_server import FakeServer, component_build, module_build


@pytest.fixture(autouse=True)
def chosen(server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MBS_SERVER", server.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # A loaded machine may take longer than people want to wait.
    monkeypatch.setattr(completing, "PATIENCE", 30.0)


def completed(*words: str) -> list[str]:
    """The values that complete the last word."""
    *before, incomplete = words
    found = ShellComplete(main, {}, "mbs", "_MBS_COMPLETE").get_completions(before, incomplete)
    return [each.value for each in found]


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --")]
)
def test_the_script_of_a_shell_is_printed(shell: str, sign: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert sign in result.stdout
    assert "_MBS_COMPLETE" in result.stdout


def test_another_shell_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["completion", "csh"]).exit_code == 2


def test_ids_are_those_of_builds_that_the_command_is_for(server: FakeServer) -> None:
    for number, state in ((11, "build"), (12, "failed"), (13, "ready"), (20, "wait")):
        server.add(module_build(number, state))
    assert completed("show", "") == ["20", "13", "12", "11"]
    assert completed("watch", "1") == ["13", "12", "11"]
    assert completed("cancel", "") == ["20", "11"]
    assert completed("retry", "") == ["12"]
    assert completed("retire", "12", "") == ["13", "12"]


def test_the_server_may_be_named_before_the_command(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.add(module_build(11, "build"))
    folder = tmp_path / "configuration" / "mbs"
    folder.mkdir(parents=True)
    (folder / "servers.toml").write_text(f'[servers.work]\nurl = "{os.environ["MBS_SERVER"]}"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))
    monkeypatch.setenv("MBS_SERVER", "http://127.0.0.1:1")
    assert completed("--server", "work", "show", "") == ["11"]
    assert completed("show", "") == []


def test_modules_and_packages_are_completed(server: FakeServer) -> None:
    server.add(module_build(1, name="perl"), component_build(1, 1, 1, package="bash"))
    server.add(module_build(2, name="perl"))
    assert completed("list", "pe") == ["perl"]
    assert completed("list", "--name", "") == ["perl"]
    assert completed("logs", "1", "") == ["bash"]
    assert completed("logs", "x", "") == []


def test_hostile_names_are_not_completed(server: FakeServer) -> None:
    for number, name in enumerate(("$(reboot)", "a\nplain,b", "-rf", "`x`", "\x1b[2J", "fine"), 1):
        server.add(module_build(number, name=name), component_build(number, 1, 1, package=name))
    assert completed("list", "") == ["fine"]
    assert completed("logs", "1", "") == ["fine"]
    for item in ShellComplete(main, {}, "mbs", "_").get_completions(["show"], ""):
        assert item.help.isprintable()


def test_an_answer_is_used_again_for_some_seconds(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completing, "KEPT", 1000.0)
    server.add(module_build(1))
    assert completed("show", "") == completed("show", "1") == ["1"]
    assert len(server.requests) == 1
    monkeypatch.setattr(completing, "KEPT", 0.0)
    server.add(module_build(2))
    assert completed("show", "") == ["2", "1"]


@pytest.mark.parametrize(
    "answer", [b"no json", b"[]", json.dumps({"items": [{"id": "x"}], "meta": {}}).encode()]
)
def test_completion_is_empty_and_silent_after_errors(
    server: FakeServer, answer: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    server.queued.append((200, answer, {}))
    assert completed("show", "") == []
    assert capfd.readouterr() == ("", "")


def test_a_server_that_does_not_answer_holds_up_the_shell_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(completing, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MBS_SERVER", f"http://127.0.0.1:{silent.getsockname()[1]}")
        before = time.monotonic()
        assert completed("show", "") == []
        assert time.monotonic() - before < 60, "a request of the client may take two minutes"


def test_every_command_documents_its_exit_codes() -> None:
    def check(command: click.Command, name: str) -> None:
        text = click.Context(command, info_name=name).command.get_help(click.Context(command, info_name=name))
        assert "Exit codes:" in text, name
        if isinstance(command, click.Group):
            for child in command.commands.values():
                check(child, f"{name} {child.name}")

    check(main, "mbs")
