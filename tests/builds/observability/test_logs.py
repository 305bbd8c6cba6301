"""Log lines and their context."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from celery.app.task import Context
from celery.signals import before_task_publish, task_postrun, task_prerun
from django.test import Client

from builds import dispatch
from builds.models import ModuleBuild
from builds.observability import log_context
from builds.observability.logs import configuration
from builds.services import transitions
from builds.workflow.sweeps import _each
from mbs.errors import MBSError
from mbs.states import BuildState
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _kept_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between tasks of a worker no transaction is open; a test's own is taken for a broken connection."""
    monkeypatch.setattr("config.celery.close_old_connections", lambda: None)


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged since, as JSON objects."""
    config = configuration("info", "json")
    formatter = config["formatters"]["json"]["()"]()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root, ours = logging.getLogger(), logging.getLogger("builds")
    before = ours.level
    ours.setLevel("INFO")
    root.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    ours.setLevel(before)


def test_a_line_is_one_object_with_its_time_level_logger_and_context(lines) -> None:
    with log_context.bound(request_id="r1", build=7, nsvc="a:1:2:c"):
        logging.getLogger("builds.x").warning("a\nb %s", "é")
    logging.getLogger("builds.x").warning("after")
    first, second = lines()
    assert first["message"] == "a\nb é"
    assert (first["level"], first["logger"]) == ("warning", "builds.x")
    assert (first["request_id"], first["build"], first["nsvc"]) == ("r1", 7, "a:1:2:c")
    assert first["time"].endswith("Z")
    assert "build" not in second


def test_a_trace_stays_on_the_line(lines) -> None:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logging.getLogger("builds.x").exception("failed")
    (line,) = lines()
    assert "ZeroDivisionError" in line["exc_info"]


def test_the_plain_format_names_the_build_of_a_line() -> None:
    formatter = configuration("info", "plain")["formatters"]["plain"]["()"]()
    record = logging.LogRecord("builds.x", logging.INFO, "", 1, "hello", (), None)
    assert formatter.format(record).endswith("builds.x: hello")
    with log_context.bound(build=7, nsvc="a:1:2:c", task_id="long"):
        assert formatter.format(record).endswith("hello  [build 7, nsvc a:1:2:c]")


def test_a_request_brings_its_number_and_gets_it_back(client: Client, lines) -> None:
    answer = client.get("/nowhere", headers={"X-Request-ID": "front-7"})
    assert answer["X-Request-ID"] == "front-7"
    assert {line["request_id"] for line in lines()} == {"front-7"}


@pytest.mark.parametrize("forged", ["two words", 'a"b', "x" * 65, "a\tb"])
def test_a_number_that_could_forge_a_line_is_replaced(client: Client, forged: str) -> None:
    number = client.get("/health/live", headers={"X-Request-ID": forged})["X-Request-ID"]
    assert number != forged
    assert len(number) == 32


def test_requests_without_a_number_get_different_ones(client: Client) -> None:
    numbers = {client.get("/health/live")["X-Request-ID"] for _ in range(3)}
    assert len(numbers) == 3


def test_lines_about_a_request_for_a_build_carry_its_number_and_name(client: Client, lines) -> None:
    build = factories.module_build(state=BuildState.READY)
    answer = client.patch(
        f"/module-build-service/2/module-builds/{build.pk}",
        {"state": "failed", "owner": "ann"},
        content_type="application/json",
    )
    assert answer.status_code == 400
    assert lines()
    for line in lines():
        assert (line["build"], line["nsvc"]) == (build.pk, str(build.nsvc))
        assert line["request_id"]


def test_every_change_of_state_is_a_line_about_the_build(
    django_capture_on_commit_callbacks, lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "send_now", lambda *_, **__: None)
    build = factories.module_build(state=BuildState.BUILD)
    with django_capture_on_commit_callbacks(execute=True):
        transitions.fail(build.pk, MBSError("It broke.", code="component_failed"))
    (line,) = [line for line in lines() if line["logger"] == "builds.services.transitions"]
    assert line["message"] == f"Module build {build.pk} is failed: It broke."
    assert line["nsvc"] == str(build.nsvc)


def perform(name: str, args: tuple[int, ...], headers: dict[str, Any]) -> None:
    """A worker runs a task that logs one line."""
    task = Mock(request=Context(headers=headers, retries=0))
    task.name = name
    task_prerun.send(sender=task, task_id="t1", task=task, args=args)
    logging.getLogger("builds.x").info("working")
    task_postrun.send(sender=task, task_id="t1", task=task, args=args)


def test_a_task_carries_the_build_and_the_request_that_led_to_it(lines) -> None:
    build = factories.module_build()
    perform("workflow.prepare", (build.pk, 1), {"mbs_request_id": "r1"})
    (line,) = lines()
    assert (line["build"], line["nsvc"], line["request_id"]) == (build.pk, str(build.nsvc), "r1")
    assert (line["task"], line["task_id"]) == ("workflow.prepare", "t1")
    assert not log_context.current()


def test_a_task_that_names_no_build_belongs_to_the_one_it_was_sent_for(lines) -> None:
    build = factories.module_build()
    perform("builder.run", (123456,), {"mbs_build": build.pk})
    assert lines()[0]["nsvc"] == str(build.nsvc)


def test_the_name_of_a_build_is_asked_for_once(django_assert_num_queries, lines) -> None:
    build = factories.module_build()
    with django_assert_num_queries(1):
        perform("workflow.prepare", (build.pk, 1), {})
        perform("workflow.start_batch", (build.pk, 1, 0), {})
    assert len(lines()) == 2


def sent(headers: dict[str, Any]) -> dict[str, Any]:
    """The headers of a message as they are published."""
    before_task_publish.send(sender="x", headers=headers)
    return headers


def test_tasks_sent_by_a_task_carry_its_request_and_build() -> None:
    with log_context.bound(request_id="r1", build=7):
        assert sent({}) == {"mbs_request_id": "r1", "mbs_build": 7}
    assert sent({}) == {}


def test_a_parked_task_keeps_its_own_request_whoever_wakes_it() -> None:
    parked = {"mbs_request_id": "own", "mbs_woken": 1.0}
    with log_context.bound(request_id="other", build=7):
        assert sent(dict(parked)) == parked


def test_a_sweep_names_the_build_that_it_fails_on(lines) -> None:
    build = factories.module_build()

    def fail(_: object) -> None:
        raise ZeroDivisionError

    items = [build, build.pk, factories.wait(build)]
    assert _each(items, fail, "done") == {"done": 0, "failed": 3}
    assert [line["nsvc"] for line in lines()] == [str(build.nsvc)] * 3


def test_servers_log_in_the_same_format(lines) -> None:
    config = configuration("info", "json")
    assert config["loggers"]["uvicorn"]["handlers"] == []
    assert config["loggers"]["gunicorn.error"]["propagate"]


def test_a_build_that_is_gone_is_known_by_its_number_alone() -> None:
    assert log_context.of_build_id(10**9) == {"build": 10**9}
    assert not ModuleBuild.objects.exists()
