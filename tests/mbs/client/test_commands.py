"""Commands in scripts: their output, their requests, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mbs.client.address import Running, lock, publish
from mbs.client.cli import main
from tests.mbs.client.fake_server import FakeServer, component_build, module_build
from tests.mbs.modulemd.mutants import DATA

URL = "https://git.example/quiet?#abc"


def mbs(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=text)


@pytest.fixture(autouse=True)
def chosen(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MBS_SERVER", server.url)


def sent(server: FakeServer) -> object:
    return server.requests[0][2]


def test_submit_turns_every_option_into_its_key(server: FakeServer) -> None:
    result = mbs(
        *("submit", URL, "--branch", "1", "--scratch", "--rebuild-strategy", "all", "--owner", "ann"),
        *("--buildrequire-override", "platform:f28", "--buildrequire-override", "platform:f29"),
        *("--require-override", "perl:5.26", "--ref-override", "libquiet:main"),
        *("--reuse-components-from", "7", "--side-tag", "side", "--srpm", "cli-build/1/a.src.rpm"),
    )
    assert result.exit_code == 0
    assert result.stdout == "1 quiet:1:20230101000000:c1 init\n"
    assert sent(server) == {
        "scmurl": URL,
        "branch": "1",
        "scratch": True,
        "rebuild_strategy": "all",
        "owner": "ann",
        "buildrequire_overrides": {"platform": ["f28", "f29"]},
        "require_overrides": {"perl": ["5.26"]},
        "rpm_component_ref_overrides": {"libquiet": "main"},
        "reuse_components_from": "7",
        "side_tag": "side",
        "srpms": ["cli-build/1/a.src.rpm"],
    }


def test_submit_without_options_sends_only_the_url(server: FakeServer) -> None:
    assert mbs("submit", URL).exit_code == 0
    assert sent(server) == {"scmurl": URL}


def test_submit_of_a_file_sends_its_text(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "quiet.yaml"
    path.write_text("data: ü\n")
    assert mbs("submit", str(path), "--module-name", "quiet", "--module-stream", "1").exit_code == 0
    assert sent(server) == {"modulemd": "data: ü\n", "module_name": "quiet", "module_stream": "1"}


def test_submit_reads_standard_input(server: FakeServer) -> None:
    assert mbs("submit", "-", text="data: 1\n").exit_code == 0
    assert sent(server) == {"modulemd": "data: 1\n"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("submit", "no-such-file.yaml"),
        ("submit", URL, "--buildrequire-override", "platform"),
        ("submit", URL, "--ref-override", ":x"),
        ("submit", URL, "--unknown"),
        ("submit",),
        ("watch", "1", "--mine"),
        ("watch", "one"),
        ("watch", "0"),
        ("list", "--state", "sleeping"),
        ("about", "--server", "ftp://h"),
    ],
)
def test_wrong_usage_is_2_and_sends_nothing(server: FakeServer, arguments: tuple[str, ...]) -> None:
    result = mbs(*arguments)
    assert result.exit_code == 2
    assert "Error" in result.stderr
    assert server.requests == []


def test_file_that_is_no_text_is_refused(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(b"\xff\xfe\x00")
    result = mbs("submit", str(tmp_path / "m.yaml"))
    assert result.exit_code == 2
    assert "UTF-8" in result.stderr


def test_a_refusal_exits_with_2_and_prints_all_problems(server: FakeServer) -> None:
    problems = [
        {"code": "a", "message": "no ref x", "component": "foo", "tried": "refs/heads/x", "hint": "Push it."},
        {"code": "b", "message": "not a number", "key": "version", "line": 3},
    ]
    server.refuse_next(422, message="Not possible.", code="c", hint="Mend both.", problems=problems)
    result = mbs("submit", URL)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "Error: Not possible.",
        "  - foo: no ref x",
        "    tried: refs/heads/x",
        "    do: Push it.",
        "  - version: not a number (line 3)",
        "  Mend both.",
    ]


@pytest.mark.parametrize("status", [500, 503])
def test_server_in_trouble_is_3(server: FakeServer, status: int) -> None:
    server.refuse_next(status, message="Not now.")
    assert mbs("about").exit_code == 3


def test_a_folder_that_cannot_be_created_is_reported_without_a_traceback(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    result = mbs("up", "--data", str(tmp_path / "file" / "data"))
    assert result.exit_code == 3
    assert result.stderr.splitlines() == [f"Error: [Errno 20] Not a directory: '{tmp_path}/file/data'."]


def test_an_unreachable_server_exits_with_3() -> None:
    result = mbs("about", "--server", "http://127.0.0.1:1")
    assert result.exit_code == 3
    assert "cannot be reached" in result.stderr


def test_without_a_known_server_it_exits_with_3_and_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MBS_SERVER")
    result = mbs("about")
    assert result.exit_code == 3
    assert "mbs up" in result.stderr


def test_own_running_service_is_found_and_builds_are_its_users(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MBS_SERVER")
    monkeypatch.setenv("LOGNAME", "joan")
    data = tmp_path / "elsewhere"
    held = lock(data)
    publish(Running(server.url, 1, str(data)))
    assert mbs("submit", URL).exit_code == 0
    assert sent(server) == {"scmurl": URL, "owner": "joan"}
    assert held > 2


@pytest.mark.parametrize(
    ("state", "scratch", "code"),
    [("ready", False, 0), ("done", True, 0), ("failed", False, 1), ("garbage", False, 1)],
)
def test_watch_ends_with_what_became_of_the_build(
    server: FakeServer, state: str, scratch: bool, code: int
) -> None:
    server.add(module_build(1, state, scratch=scratch))
    result = mbs("watch", "1")
    assert result.exit_code == code
    assert state in result.stdout
    assert "\x1b" not in result.stdout


def test_watch_of_several_fails_when_one_does(server: FakeServer) -> None:
    server.add(module_build(1, "ready"))
    server.add(module_build(2, "failed"))
    assert mbs("watch", "1", "2").exit_code == 1


def test_watch_as_json_keeps_progress_out_of_stdout(server: FakeServer) -> None:
    server.add(module_build(1, "ready"))
    result = mbs("watch", "1", "--json")
    assert [build["id"] for build in json.loads(result.stdout)] == [1]
    assert "ready" in result.stderr


def test_submit_and_watch(server: FakeServer) -> None:
    original = server.answer

    def ready_at_once(method: str, url: str, body: object) -> tuple[int, object]:
        status, answer = original(method, url, body)
        if method == "POST":
            server.add(module_build(1, "ready"))
        return status, answer

    server.answer = ready_at_once
    result = mbs("submit", URL, "--watch")
    assert result.exit_code == 0
    assert [line.split()[2].strip(",") for line in result.stdout.splitlines()] == ["init", "ready"]


def test_cancel_prints_the_resulting_state(server: FakeServer) -> None:
    server.add(module_build(3, "build"))
    result = mbs("cancel", "3")
    assert result.exit_code == 0
    assert result.stdout == "3 quiet:1:20230101000000:c3 failed: Canceled by ann.\n"


def test_list_shows_the_newest_first_and_filters(server: FakeServer) -> None:
    for number in range(1, 5):
        server.add(module_build(number, "failed" if number == 3 else "ready"))
    result = mbs("list", "--state", "ready", "--limit", "2")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ID", "4", "2"]


def test_show_has_reason_and_components(server: FakeServer) -> None:
    server.add(
        module_build(1, "failed", state_reason="It broke [badly].", error={"hint": "Mend it."}),
        component_build(
            1,
            1,
            2,
            package="libquiet",
            state=3,
            nvr="libquiet-1-1",
            task_url="http://log/" + "x" * 200,
            time_started="2023-01-01T00:00:10Z",
            time_completed="2023-01-01T00:00:22Z",
        ),
    )
    lines = mbs("show", "1").stdout.splitlines()
    assert lines[1:3] == ["  reason: It broke [badly].", "  do: Mend it."]
    assert lines[-1].split() == ["2", "libquiet", "failed", "libquiet-1-1", "12", "http://log/" + "x" * 200]


EXCERPT = {
    "component": "package5",
    "component_build": 5,
    "log": "build.log",
    "line": 12,
    "first_line": 11,
    "cause": "x.c:1: error: bad \x1b[2J",
    "lines": ["gcc -c x.c", "x.c:1: error: bad \x1b[2J", "make: *** [x.o] Error 1"],
    "url": "/builds/1/package5/log?line=12#L12",
}


@pytest.mark.parametrize("command", ["show", "watch"])
def test_a_failed_compile_is_shown_by_the_lines_that_explain_it(server: FakeServer, command: str) -> None:
    error = {"code": "component_failed", "message": "m", "hint": "h", "cause": "module", "excerpt": EXCERPT}
    server.add(module_build(1, "failed", error=error))
    lines = mbs(command, "1").stdout.splitlines()
    assert "Why package5 failed (build.log, line 12):" in lines
    assert r">     12  x.c:1: error: bad \x1b[2J" in lines
    assert "      11  gcc -c x.c" in lines
    assert f"In the log: {server.url}/builds/1/package5/log?line=12#L12" in lines
    assert lines[-1].startswith("Next: commit the fix and submit")


@pytest.mark.parametrize(
    ("cause", "first"),
    [("infrastructure", "Next: `mbs retry 1`. "), ("canceled", "Next: `mbs retry 1` builds the")],
)
def test_a_retry_comes_first_where_the_module_is_not_at_fault(
    server: FakeServer, cause: str, first: str
) -> None:
    error = {"code": "c", "message": "m", "hint": "h", "cause": cause, "excerpt": None}
    server.add(module_build(1, "failed", error=error))
    assert mbs("show", "1").stdout.splitlines()[-1].startswith(first)


@pytest.mark.parametrize("command", ["show", "watch"])
def test_a_ready_build_is_shown_with_the_way_to_install_it(server: FakeServer, command: str) -> None:
    install = ["curl -o /etc/yum.repos.d/x.repo http://s/x.repo", "dnf module install quiet:1"]
    server.add(module_build(1, "ready", repository_url="http://s/repo/", install=install))
    lines = mbs(command, "1").stdout.splitlines()
    assert "quiet:1:20230101000000:c1 is in the repository http://s/repo/" in lines
    assert lines[-2:] == [f"  {line}" for line in install]


def test_a_ready_build_outside_the_repository_of_its_stream_is_shown_with_its_page(
    server: FakeServer,
) -> None:
    server.add(module_build(1, "ready", repository_url="http://s/own/", install=[]))
    server.add(module_build(2, "ready", repository_url="http://s/own/", install=[], scratch=True))
    last = mbs("show", "1").stdout.splitlines()[-1]
    assert last.startswith("This is not the repository of its stream.")
    assert last.endswith("/builds/1")
    assert mbs("show", "2").stdout.splitlines()[-1].endswith(" is in the repository http://s/own/")


def test_show_as_json_is_the_servers_own(server: FakeServer) -> None:
    server.add(module_build(1), component_build(5, 1, 1))
    shown = json.loads(mbs("show", "1", "--json").stdout)
    assert shown["state_name"] == "init"
    assert [each["id"] for each in shown["components"]] == [5]


def test_about_names_the_server(server: FakeServer) -> None:
    assert mbs("about").stdout.splitlines() == [
        f"server: {server.url}",
        "api_version: 2",
        "auth_method: oidc",
        "version: 0.1.0",
    ]


@pytest.mark.parametrize("command", ["submit", "watch", "cancel", "list", "show", "about"])
def test_help_lists_the_exit_codes(command: str) -> None:
    assert "Exit codes:" in mbs(command, "--help").stdout


def _module(tmp_path: Path, text: str = "") -> str:
    path = tmp_path / "module.yaml"
    path.write_text(text or (DATA / "stream_v2.yaml").read_text())
    return str(path)


def test_validate_asks_a_server_only_when_one_is_named(server: FakeServer, tmp_path: Path) -> None:
    path = _module(tmp_path)
    assert mbs("validate", path).exit_code == 0
    assert server.requests == []
    server.queued.append((200, b'{"builds": []}', {}))
    result = mbs("validate", path, "--server", server.url)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == f"{path}: ok: the server would accept it"
    method, url, body = server.requests[-1]
    assert (method, url) == ("POST", "/module-build-service/2/module-builds/plan/")
    assert body == {"modulemd": Path(path).read_text()}


@pytest.mark.parametrize("as_json", [False, True])
def test_validate_shows_why_a_server_would_refuse_a_file(
    server: FakeServer, tmp_path: Path, as_json: bool
) -> None:
    problem = {"code": "ref_unknown", "message": "There is no commit \x1b[2J.", "hint": "Push it.", "line": 7}
    server.refuse_next(422, code="x", message="m", problems=[problem])
    path = _module(tmp_path)
    result = mbs("validate", path, "--server", server.url, *(["--json"] if as_json else []))
    assert result.exit_code == 1
    if as_json:
        assert json.loads(result.stdout)[0]["server"]["problems"][0]["code"] == "ref_unknown"
    else:
        where = f"{path}:7: error: server: "
        assert result.stdout.splitlines()[-1].startswith(where + "There is no commit")
        assert "\x1b" not in result.stdout


def test_validate_does_not_send_a_file_that_is_invalid_to_a_server(
    server: FakeServer, tmp_path: Path
) -> None:
    path = _module(tmp_path, "document: modulemd\nversion: 2\ndata: {}\n")
    assert mbs("validate", path, "--server", server.url).exit_code == 1
    assert server.requests == []


def test_validate_distinguishes_a_refused_login_from_an_invalid_file(
    server: FakeServer, tmp_path: Path
) -> None:
    server.refuse_next(401, code="not_authenticated", message="This request needs credentials.")
    result = mbs("validate", _module(tmp_path), "--server", server.url)
    assert result.exit_code not in (0, 1)
    assert "needs credentials" in result.stderr


def test_a_webhook_is_subscribed_listed_and_deleted(server: FakeServer) -> None:
    made = {
        **{"id": 5, "kind": "webhook", "address": "https://x.example/h", "owner": "ann", "name": ""},
        **{"stream": "", "active": False, "error": "no answer", "subscriber": "ann"},
    }
    server.queued.append((201, json.dumps({**made, "secret": "whsec_1"}).encode(), {}))
    result = mbs("subscribe", "https://x.example/h", "--of", "ann")
    assert (result.exit_code, result.stdout) == (0, "whsec_1\n")
    body = {"kind": "webhook", "address": "https://x.example/h", "ended_only": True, "owner": "ann"}
    assert server.requests[-1] == ("POST", "/module-build-service/2/subscriptions/", body)
    page = {"items": [made], "meta": {"next": None}}
    server.queued.append((200, json.dumps(page).encode(), {}))
    listed = mbs("subscriptions").stdout
    assert "owner ann" in listed
    assert "stopped: no answer" in listed
    server.queued.append((200, json.dumps(made).encode(), {}))
    assert mbs("unsubscribe", "5").stdout == "5 webhook to https://x.example/h deleted\n"
    assert server.requests[-1][:2] == ("DELETE", "/module-build-service/2/subscriptions/5")
