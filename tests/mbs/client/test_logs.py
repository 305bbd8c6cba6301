"""``mbs logs`` against the service itself."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import django.test
import httpx
import pytest
from click.testing import CliRunner, Result

from builds.models import ComponentBuild, ModuleBuild
from mbs.client import answers, logs, options
from mbs.client.cli import main
from mbs.client.rest import Client
from mbs.states import BuildState, ComponentState
from tests.builds.web.component_logs import end, open_log
from tests.factories import component_build, module_build

pytestmark = pytest.mark.django_db


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return open_log(tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service, as the command reaches it."""

    def answer(request: httpx.Request) -> httpx.Response:
        found = django.test.Client().get(request.url.raw_path.decode(), headers=dict(request.headers))
        return httpx.Response(found.status_code, headers=dict(found.items()), content=found.getvalue())

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(options, "Client", functools.partial(Client, transport=transport))
    monkeypatch.setenv("MBS_SERVER", "http://testserver")
    # Other threads do not see the rows of the test's transaction.
    monkeypatch.setattr(answers, "send", lambda http, request, _: http.send(request, stream=True))


@pytest.fixture
def build(log: Path) -> ModuleBuild:
    build = module_build(state=BuildState.BUILD)
    component_build(build, package="one", task_id=7, state=ComponentState.COMPLETE)
    component_build(build, package="two", task_id=8, state=ComponentState.FAILED)
    component_build(build, package="three")
    log.write_bytes(b"first\nsecond\nlast")
    end(log)
    other = log.parent.parent / "8" / "build.log"
    other.parent.mkdir()
    other.write_bytes(b"\x1b[31merror:\x1b[0m \x1b]0;title\x07it \x1b[>4;2m\x1b[2Jbroke\x00\n")
    end(other, "failed")
    return build


def mbs(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["logs", *map(str, arguments), "--interval", "0.1"], color=True)


def test_the_log_of_a_component_is_printed(build: ModuleBuild) -> None:
    result = mbs(build.pk, "one")
    assert (result.exit_code, result.stdout) == (0, "first\nsecond\nlast\n")


def test_lines_of_several_logs_begin_with_their_package(build: ModuleBuild) -> None:
    result = mbs(build.pk)
    assert result.stdout.startswith("one: first\none: second\none: last\ntwo: ")


def test_only_colors_among_control_sequences_reach_the_terminal(build: ModuleBuild) -> None:
    result = mbs(build.pk, "--failed")
    assert result.stdout == "two: \x1b[31merror:\x1b[0m it broke\\x00\x1b[0m\n"


def test_the_last_lines_of_a_long_log_are_printed_without_reading_all_of_it(
    build: ModuleBuild, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(100_000)))
    asked: list[int] = []
    read = Client.log

    def counting(self: Client, build_id: int, package: str, name: str, start: int, stop: int) -> object:
        asked.append(stop - start)
        return read(self, build_id, package, name, start, stop)

    monkeypatch.setattr(Client, "log", counting)
    assert mbs(build.pk, "one", "--lines", 2).stdout == "line 99998\nline 99999\n"
    assert sum(asked) < 5000
    assert mbs(build.pk, "two", "-n", 9).stdout.count("\n") == 1


def test_a_log_is_followed_to_the_end_of_its_build(
    build: ModuleBuild, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (log.parent / "result.json").unlink()
    rows = ComponentBuild.objects.filter(package="one")
    rows.update(state=ComponentState.BUILDING)
    steps = [lambda: log.write_bytes(b"first\nsecond\nlast line\nand"), lambda: end(log)]

    def sleep(seconds: float) -> None:
        steps.pop(0)()
        if not steps:
            rows.update(state=ComponentState.COMPLETE)

    # Only for this command: other threads of the process sleep too.
    monkeypatch.setattr(logs, "sleep", sleep)
    result = mbs(build.pk, "one", "--follow")
    assert (result.exit_code, result.stdout) == (0, "first\nsecond\nlast line\nand\n")


def test_the_list_of_logs_is_printed_as_json(build: ModuleBuild) -> None:
    told = json.loads(mbs(build.pk, "--json").stdout)
    assert [(each["package"], each["size"], each["logs"][:1]) for each in told] == [
        ("one", 17, [{"name": "build.log", "label": "build.log"}]),
        ("three", 0, []),
        ("two", 47, [{"name": "build.log", "label": "build.log"}]),
    ]


def test_a_component_that_does_not_exist_is_refused(build: ModuleBuild) -> None:
    result = mbs(build.pk, "other")
    assert result.exit_code != 0
    assert "no component 'other'" in result.stderr
