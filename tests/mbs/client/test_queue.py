"""Predictions of the server in ``mbs queue``, ``mbs watch`` and ``mbs show``."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from mbs.client import display
from mbs.client.cli import main
from mbs.client.snapshot import Outlook, read_build, read_outlooks
from mbs.client.watching import Snapshot
from tests.mbs.client.fake_server import FakeServer, module_build

READY = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
QUEUE = {
    "slots": 5,
    "note": "There is no prediction:\x1b too many",
    "building": 5,
    "waiting": 31,
    "rule": "A free slot goes to the owner with the fewest.",
    "owners": [{"owner": "ann\x1b[31m", "building": 5, "waiting": 31}],
    "next": [
        {"place": 1, "package": "gcc\x1b[2J", "build": 7, "owner": "bob", "start": "2030-01-01T11:30:00Z"},
        {"place": 2, "package": "make", "build": 8, "owner": "ann", "start": None},
    ],
    "builds": [
        {"id": 1, "place": 14, "of": 31, "ready": "2030-01-01T12:00:00Z", "spread_seconds": 40.0},
        {"id": 2, "ready": "no time", "spread_seconds": 1},
        {"place": 3},
        None,
    ],
}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch, server: FakeServer) -> None:
    monkeypatch.setenv("MBS_SERVER", server.url)
    answer = server.answer

    def with_queue(method: str, url: str, body: object) -> tuple[int, object]:
        return (200, QUEUE) if url.startswith("/queue") else answer(method, url, body)

    monkeypatch.setattr(server, "answer", with_queue)


def mbs(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_the_queue_is_printed_without_control_characters() -> None:
    result = mbs("queue")
    assert result.exit_code == 0
    assert "slots: 5, building: 5, waiting: 31" in result.stdout
    assert "ann\\x1b[31m" in result.stdout
    assert "There is no prediction:\\x1b too many" in result.stdout
    assert "build 1: place 14 of 31 for a slot, ready about 2030-01-01 " in result.stdout


def test_a_hostile_server_controls_no_terminal_with_numbers_and_causes_no_traceback(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {
        "slots": "\x1b[2J",
        "building": "\x1b[1m",
        "waiting": "\x1b[1m",
        "owners": ["x"],
        "next": {"a": 1},
    }
    monkeypatch.setattr(server, "answer", lambda *_: (200, answer))
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = CliRunner().invoke(main, ["queue"], color=True)
    assert (result.exit_code, result.exception) == (0, None)
    assert result.stdout.startswith("slots: \\x1b[2J, building: \\x1b[1m, waiting: \\x1b[1m")
    assert "\x1b" not in result.stdout


def test_the_components_that_get_the_next_slots_are_printed() -> None:
    lines = [line.split() for line in mbs("queue").stdout.splitlines()]
    start = READY.replace(hour=11, minute=30).astimezone()
    assert ["1", "gcc\\x1b[2J", "7", "bob", *f"{start:%Y-%m-%d %H:%M %Z}".split()] in lines
    assert ["2", "make", "8", "ann", "not", "known"] in lines
    assert json.loads(mbs("queue", "--json").stdout)["next"] == QUEUE["next"]


@pytest.mark.parametrize("answer", [{"slots": 1}, {"slots": 1, "next": []}])
def test_a_server_that_names_no_next_components_gets_no_table(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, answer: dict[str, object]
) -> None:
    monkeypatch.setattr(server, "answer", lambda *_: (200, answer))
    lines = mbs("queue").stdout.splitlines()
    assert lines[-1] == "No component builds or waits for a slot."
    assert not any("next component" in line or "owner" in line for line in lines)


def test_a_server_without_a_queue_is_reported(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "answer", lambda *_: (404, {"status": 404, "message": "Nothing here."}))
    result = mbs("queue")
    assert result.exit_code == 3
    assert "does not provide its queue" in result.stderr


def test_show_prints_the_expected_time_of_an_active_build(server: FakeServer) -> None:
    server.add(module_build(1, "build"))
    assert "expected: place 14 of 31 for a slot" in mbs("show", "1").stdout
    server.builds[1] = module_build(1, "ready")
    assert "expected" not in mbs("show", "1").stdout


def test_watch_prints_an_expectation_when_it_is_news() -> None:
    def snapshot(place: int, seconds: float) -> Snapshot:
        build = read_build(module_build(1, "build"))
        outlook = Outlook(place, 31, READY + timedelta(seconds=seconds), 40.0)
        return Snapshot((replace(build, outlook=outlook),))

    stream = io.StringIO()
    display.follow([snapshot(14, 0), snapshot(14, 30), snapshot(13, 30), snapshot(13, 200)], stream)
    assert stream.getvalue().count("ready about") == 3
    assert stream.getvalue().count("place 14 of 31") == 1


def test_outlooks_that_cannot_be_read_are_left_out() -> None:
    assert read_outlooks(QUEUE) == {1: Outlook(14, 31, READY, 40.0)}
