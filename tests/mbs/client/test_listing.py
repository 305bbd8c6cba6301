"""``mbs list``, and commands that act on several builds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from mbs.client.cli import main
from tests.mbs.client.fake_server import FakeServer, component_build, module_build


def mbs(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture(autouse=True)
def chosen(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MBS_SERVER", server.url)


@pytest.fixture
def zone() -> Iterator[None]:
    """A time zone that is 3 hours ahead of UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "TST-3")
        time.tzset()
        yield
    time.tzset()


def query(server: FakeServer, number: int = -1) -> dict[str, list[str]]:
    """The parameters of a request, without those of pages."""
    found = parse_qs(urlsplit(server.requests[number][1]).query)
    return {key: values for key, values in found.items() if key not in ("per_page", "strict")}


def test_a_pattern_and_filters_are_sent_to_the_server(server: FakeServer) -> None:
    assert mbs("list", "perl-*:5.3?", "--by", "ann", "--active", "--component", "bash").exit_code == 0
    assert query(server) == {
        "match": ["perl-*:5.3?"],
        "owner": ["ann"],
        "component": ["bash"],
        "state": ["init", "wait", "build"],
    }


def test_since_takes_an_age_or_a_time(server: FakeServer) -> None:
    before = datetime.now(UTC) - timedelta(days=2)
    assert mbs("list", "--since", "2d").exit_code == 0
    sent = datetime.fromisoformat(query(server)["submitted_after"][0])
    assert abs(sent - before) < timedelta(minutes=5)
    assert mbs("list", "--since", "2026-01-31").exit_code == 0
    assert query(server) == {"submitted_after": ["2026-01-31T00:00:00Z"]}


@pytest.mark.parametrize("text", ["yesterday", "2y", "999999w", "-1d"])
def test_a_time_that_is_none_is_wrong_usage(server: FakeServer, text: str) -> None:
    assert mbs("list", f"--since={text}").exit_code == 2
    assert server.requests == []


def test_mine_are_the_builds_of_the_named_owner(server: FakeServer) -> None:
    assert mbs("list", "--mine", "--owner", "zoe").exit_code == 0
    assert query(server) == {"owner": ["zoe"]}


def test_mine_are_the_builds_of_the_user_whose_token_is_shown(server: FakeServer) -> None:
    server.user = "joan"
    assert mbs("list", "--mine", "--token", "x").exit_code == 0
    assert query(server) == {"owner": ["joan"]}


def test_mine_on_a_server_without_logins_names_the_remedy(server: FakeServer) -> None:
    server.user = "anonymous"
    result = mbs("list", "--mine")
    assert result.exit_code == 2
    assert "--owner" in result.stderr


def test_a_line_shows_progress_and_the_reason_to_wait_or_to_fail(server: FakeServer) -> None:
    submitted = datetime.now(UTC) - timedelta(hours=3, minutes=5)
    times = {"time_submitted": f"{submitted:%Y-%m-%dT%H:%M:%SZ}"}
    ended = {**times, "time_modified": f"{submitted + timedelta(minutes=2):%Y-%m-%dT%H:%M:%SZ}"}
    tasks = {"rpms": {"a": {"state": 1}, "b": {"state": 3}, "c": {"state": None}}}
    server.add(module_build(1, "failed", state_reason="b failed", tasks=tasks, **ended))
    server.add(module_build(2, "build", waiting_for={"what": "waits for a slot"}, **times))
    waiting, failed = (line.rstrip() for line in mbs("list").stdout.splitlines()[1:])
    assert failed.split(maxsplit=4)[4].split("  ")[0].startswith("1/3")
    assert failed.endswith("b failed")
    assert "3 h 5 min" in failed
    assert "2 min 0 s" in failed
    assert waiting.endswith("waits for a slot")


def test_a_line_shows_when_a_build_is_expected_to_be_ready(server: FakeServer, zone: None) -> None:
    ready = datetime.now(UTC).replace(microsecond=0) + timedelta(days=40)
    server.predictions = [{"id": 2, "ready": ready.isoformat(), "spread_seconds": 5.0}]
    server.add(module_build(1, "ready"))
    server.add(module_build(2, "build"))
    first, second = mbs("list").stdout.splitlines()[1:]
    local = ready + timedelta(hours=3)
    assert f"{local:%b %d}" in first
    assert f"{local:%b %d}" not in second
    assert f"expected: ready about {local:%Y-%m-%d %H:%M} TST (±5 s)" in mbs("show", "2").stdout


def test_times_are_local_and_have_their_zone(server: FakeServer, zone: None) -> None:
    server.add(module_build(1, "ready", time_completed="2023-01-01T22:00:05Z"))
    lines = mbs("show", "1").stdout.splitlines()
    assert "  submitted: 2023-01-01 03:00:00 TST" in lines
    assert "  ended: 2023-01-02 01:00:05 TST" in lines


def test_several_builds_are_canceled_and_a_refusal_does_not_stop_the_rest(server: FakeServer) -> None:
    server.add(module_build(16, "build"))
    server.add(module_build(17, "build"))
    result = mbs("cancel", "16", "99", "17", "16")
    assert result.exit_code == 2
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["16", "17"]
    assert "No such thing" in result.stderr
    assert len(server.requests) == 3


def test_json_of_several_builds_is_a_list(server: FakeServer) -> None:
    server.add(module_build(16, "build"))
    server.add(module_build(17, "build"))
    assert [each["id"] for each in json.loads(mbs("cancel", "16", "17", "--json").stdout)] == [16, 17]
    assert json.loads(mbs("cancel", "16", "--json").stdout)["id"] == 16


def test_retire_and_retry_take_several_builds(server: FakeServer) -> None:
    server.add(module_build(16, "failed"))
    server.add(module_build(17, "failed"))
    for command in ("retry", "retire"):
        assert mbs(command, "16", "17").exit_code == 0
        assert [request[1].split("/")[-2:] for request in server.requests[-2:]] == [
            ["16", command],
            ["17", command],
        ]


def test_show_prints_why_a_component_was_built(server: FakeServer) -> None:
    reuse = {"reused": False, "code": "commit_changed", "detail": f"was {'1' * 40}, is {'2' * 40}"}
    kept = {"reused": True, "code": "reused", "detail": "was a, is a"}
    server.add(module_build(1), component_build(5, 1, 1, reuse=reuse), component_build(6, 1, 1, reuse=kept))
    lines = mbs("show", "1").stdout.splitlines()
    assert "commit 1111111 → 2222222" in lines[-2]
    assert "reused" not in lines[-1]


def test_diff_shows_components_buildrequires_and_rpms(server: FakeServer) -> None:
    side = {"ref": "1" * 40, "url": None, "nvr": "lib-1-1", "state_name": "COMPLETE", "seconds": 7.0}
    rpm = {"name": "lib", "arch": "x86_64", "old": "0:1-1", "new": "0:1-2", "old_size": 1000, "new_size": 900}
    server.comparison = {
        "old": {"id": 4, "nsvc": "quiet:1:1:c", "state_name": "ready"},
        "new": {"id": 5, "nsvc": "quiet:1:2:c", "state_name": "ready"},
        "components": [
            {
                "package": "lib",
                "change": "commit",
                "old": side,
                "new": side | {"ref": "2" * 40},
                "why": "commit 1 → 2",
            },
            {"package": "kept", "change": "reused", "old": side, "new": side, "why": None},
        ],
        "buildrequires": [{"name": "platform", "old": "f39:3:0", "new": None}],
        "rpms": {
            "added": [{"nevra": "new-0:1-1.x86_64", "size": 5}],
            "removed": [],
            "changed": [rpm | {"requires": {"added": ["glibc"], "removed": []}, "provides": None}],
            "same": 3,
        },
    }
    result = mbs("diff", "4", "5")
    assert result.exit_code == 0
    assert server.requests[-1][1].endswith("module-builds/5/compare?with=4")
    for text in (
        "commit 1 → 2",
        "platform: f39:3:0 → none",
        "+ new-0:1-1.x86_64 (5 bytes)",
        "~ lib.x86_64 0:1-1 → 0:1-2 (900 bytes, -100)",
        "+ requires glibc",
    ):
        assert text in result.stdout
    assert "kept" not in result.stdout
    assert "kept" in mbs("diff", "--all", "5").stdout
    assert server.requests[-1][1].endswith("module-builds/5/compare?all=1")
    assert mbs("diff", "1", "2", "3").exit_code == 2
    server.comparison["rpms"] = None
    assert "The RPMs of one of them are not recorded." in mbs("diff", "4", "5").stdout
    server.comparison["new"]["state_name"] = "failed"
    assert "The RPMs of build 5 are known when it is ready." in mbs("diff", "4", "5").stdout
