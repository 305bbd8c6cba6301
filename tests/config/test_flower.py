"""The configuration of Flower."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from celery.events.state import Task
from django.contrib.auth.models import User
from django.test import Client
from flower import urls
from flower.app import Flower
from flower.options import default_options
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from mbs.client.up import services
from tests import factories
from tests.processes import ROOT

CONFIG = ROOT / "config" / "flower.py"


def configured(monkeypatch: pytest.MonkeyPatch, **given: Any) -> dict[str, Any]:
    """What the configuration says when these options were given already."""
    options = SimpleNamespace(**{"address": "", "basic_auth": [], "auth": "", "auth_provider": None, **given})
    monkeypatch.setattr("tornado.options.options", options)
    names: dict[str, Any] = {}
    exec(CONFIG.read_text(), names)
    return names


def test_only_this_machine_can_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured(monkeypatch)["address"] == "127.0.0.1"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "mbs.example.com"])
def test_others_reach_it_with_a_password_only(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="FLOWER_BASIC_AUTH"):
        configured(monkeypatch, address=address)
    names = configured(monkeypatch, address=address, basic_auth=["ann:secret"])
    assert names["address"] == address


@pytest.mark.parametrize(
    ("name", "args", "shown"),
    [
        ("workflow.tag_batch", "(12, 1, 3)", "(12, 1, 3) http://testserver/builds/12"),
        ("workflow.prepare", "[12, 1]", "[12, 1] http://testserver/builds/12"),
        ("workflow.recover_lost", "(1795.25,)", "(1795.25,)"),
        ("builder.run", "(12,)", "(12,)"),
        ("workflow.prepare", None, None),
    ],
)
def test_a_step_in_flower_links_to_its_build(
    name: str, args: str | None, shown: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    format_task = configured(monkeypatch)["format_task"]
    assert format_task(SimpleNamespace(name=name, args=args)).args == shown


def test_the_page_of_a_task_links_to_its_build_and_to_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_options.mockable(), "format_task", configured(monkeypatch)["format_task"])
    foreign = "<b> http://elsewhere.example.com/builds/1"
    task = Task("abc", name="workflow.tag_batch", args="(12, 1, 3)", kwargs=foreign, state="SUCCESS")
    events = SimpleNamespace(state=SimpleNamespace(tasks={"abc": task}))

    async def page() -> str:
        app = Flower(options=default_options, capp=current_app, events=events, **urls.settings)
        (socket,) = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(app)
        server.add_socket(socket)
        address = f"http://127.0.0.1:{socket.getsockname()[1]}/task/abc"
        answer = await AsyncHTTPClient().fetch(address)
        server.stop()
        return answer.body.decode()

    shown = asyncio.run(page())
    assert '(12, 1, 3) <a href="http://testserver/builds/12">http://testserver/builds/12</a>' in shown
    assert f">{escape(foreign)}<" in shown


def test_the_names_of_the_configuration_are_options_of_flower(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import flower.options, json; from tornado.options import options; print(json.dumps(list(options)))"
    )
    known = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("address", "tasks_columns", "read_only", "natural_time", "format_task"):
        assert f'"{name}"' in known
        assert name in configured(monkeypatch)


def test_it_runs_with_the_others_when_it_is_wanted(tmp_path: Path) -> None:
    with services.listen(None) as web:
        options: dict[str, Any] = {
            "redis": Path("redis"),
            "listener": services.Loopback(web),
            "build_jobs": 1,
        }
        without = services.programs(tmp_path, **options)
        wanted = services.programs(tmp_path, **options, flower_port=5555)
    assert [program.name for program in wanted] == [*(program.name for program in without), "flower"]
    (tmp_path / services.BROKER_FILE).write_text("redis://x")
    assert services.environment(tmp_path, "http://h", 5555)["MBS_FLOWER_URL"] == "http://127.0.0.1:5555"
    assert "MBS_FLOWER_URL" not in services.environment(tmp_path, "http://h")


@pytest.fixture
def operator(db: None, client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def test_the_admin_links_to_flower_and_to_the_task_that_waits(operator: Client, settings: Any) -> None:
    settings.MBS = settings.MBS.model_copy(update={"FLOWER_URL": "http://flower.example.com"})
    wait = factories.wait(factories.module_build())
    assert b'href="http://flower.example.com"' in operator.get("/admin/").content
    link = f'href="http://flower.example.com/task/{wait.celery_task_id}"'
    build = f"/admin/builds/modulebuild/{wait.module_build_id}/change/"
    for page in ("/admin/builds/wait/", f"/admin/builds/wait/{wait.pk}/change/", build):
        assert link.encode() in operator.get(page).content


def test_without_flower_the_admin_has_no_link(operator: Client) -> None:
    wait = factories.wait(factories.module_build())
    assert b"Flower" not in operator.get("/admin/").content
    for page in ("/admin/builds/wait/", f"/admin/builds/wait/{wait.pk}/change/"):
        shown = operator.get(page)
        assert shown.status_code == 200
        assert b">task</a>" not in shown.content
