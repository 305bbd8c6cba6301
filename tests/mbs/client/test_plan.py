"""``mbs plan`` as text and as JSON."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from mbs.client.cli import main
from mbs.client.plan import trees
from tests.mbs.client.fake_server import FakeServer

URL = "https://git.example/quiet?#abc"


def component(package: str, **more: Any) -> dict[str, Any]:
    return {
        "package": package,
        "ref": "0123456789abcdef" * 2,
        "arches": ["x86_64"],
        "build_after": [],
        "state_name": None,
        "seconds": None,
        "reuse": None,
    } | more


REUSED = {"reused": True, "code": "reused", "detail": "was and is x", "nvr": "alpha-1-1"}
CHANGED = {"reused": False, "code": "commit_changed", "detail": "was aaa, is bbb", "nvr": None}
BUILD = {
    "action": "build",
    "id": None,
    "state_name": None,
    "nsvc": "quiet:1:40:c1",
    "buildrequires": {"platform": "f40:3:00000000"},
    "reused_module": {"id": 3, "nsvc": "quiet:1:39:c1"},
    "graph": True,
    "batches": [
        {"batch": 1, "components": [component("module-build-macros", ref=None, seconds=65)]},
        {
            "batch": 2,
            "components": [
                component("alpha", reuse=REUSED),
                component("beta", reuse=CHANGED, build_after=["alpha"]),
            ],
        },
    ],
    "critical_path": {"seconds": 65, "packages": ["module-build-macros", "beta"], "unknown": ["beta"]},
}
KEPT = {**BUILD, "action": "keep", "id": 7, "state_name": "ready", "nsvc": "quiet:1:41:c2", "batches": []}
PLAN = {
    "builds": [BUILD, KEPT],
    "rejected": [{"message": "No build is ready.", "streams": {"platform": "f99"}}],
    "trace": [{"code": "chosen", "message": "It is built."}],
    "warnings": [{"component": "beta", "message": "A source has a macro in its name."}],
}


def mbs(server: FakeServer, *arguments: str, answer: Any = PLAN, status: int = 200) -> Result:
    server.queued.append((status, json.dumps(answer).encode(), {}))
    return CliRunner().invoke(main, ["plan", URL, *arguments, "--server", server.url])


def test_a_plan_can_be_read_without_a_terminal(server: FakeServer) -> None:
    result = mbs(server, "--branch", "1", "--scratch")
    assert result.exit_code == 0
    assert [line.lstrip("│├└─ ").rstrip() for line in result.stdout.splitlines()] == [
        "quiet:1:40:c1  would be built",
        "built against",
        "platform:f40:3:00000000",
        "compared with quiet:1:39:c1",
        "batch 1",
        "module-build-macros  about 1 min 5 s",
        "batch 2",
        "alpha 0123456789ab  reused: alpha-1-1",
        "beta 0123456789ab  after alpha",
        "commit_changed: was aaa, is bbb",
        "critical path: module-build-macros -> beta, at least 1 min 5 s (never built before: beta)",
        "quiet:1:41:c2  #7  exists, would not be changed",
        "built against",
        "platform:f40:3:00000000",
        "its state is ready",
        "Warnings",
        "beta: A source has a macro in its name.",
        "Left out",
        "platform:f99: No build is ready.",
    ]
    method, path, body = server.requests[-1]
    assert (method, path.split("?")[0]) == ("POST", "/module-build-service/2/module-builds/plan/")
    assert body == {"scmurl": URL, "branch": "1", "scratch": True}


def test_the_trace_is_shown_on_demand(server: FakeServer) -> None:
    assert "chosen: It is built." in mbs(server, "--trace").stdout


def test_programs_get_what_the_server_sent(server: FakeServer) -> None:
    assert json.loads(mbs(server, "--json").stdout) == PLAN


def test_a_refusal_ends_it(server: FakeServer) -> None:
    refusal = {"status": 422, "message": "No combination.", "code": "no_combination", "hint": "Build it."}
    result = mbs(server, answer=refusal, status=422)
    assert result.exit_code == 2
    assert "No combination." in result.stderr


def test_a_refusal_is_json_too(server: FakeServer) -> None:
    problem = {"code": "no_name", "message": "No name.", "key": "data.name"}
    refusal = {
        "message": "No name.",
        "code": "no_name",
        "hint": "Or give module_name.",
        "problems": [problem],
    }
    result = mbs(server, "--json", answer=refusal, status=422)
    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert (answer["code"], answer["hint"]) == ("no_name", "Or give module_name.")
    assert answer["problems"] == [problem]


def test_a_refusal_names_the_options_of_the_command_line(server: FakeServer) -> None:
    refusal = {"message": "No name.", "code": "no_name", "hint": "Or give module_name."}
    assert "Or give --module-name." in mbs(server, answer=refusal, status=422).stderr


@pytest.mark.parametrize("hostile", ["[red]x[/red]", "\x1b[2J"])
def test_text_of_others_cannot_change_the_terminal(hostile: str) -> None:
    out = io.StringIO()
    console = Console(
        file=out, markup=False, highlight=False, width=200, force_terminal=True, color_system=None
    )
    for tree in trees({**PLAN, "trace": [{"code": "chosen", "message": hostile}]}, trace=True):
        console.print(tree)
    assert "\x1b[2J" not in out.getvalue()
    assert "[red]" in out.getvalue() or hostile.startswith("\x1b")
