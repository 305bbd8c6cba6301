"""Fixtures of the service's tests: git repositories, submissions, workers, and a message bus."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.test import Client

from builds.models import (
    ComponentBuild,
    ModuleBuild,
    ModuleBuildTrace,
    OutboxMessage,
    Submission,
    clock,
)
from builds.services.build_system import build_system
from builds.services.submission import SubmissionRequest, submit
from mbs.errors import MBSError
from tests.builds.messaging.rabbitmq import MISSING, RabbitMQ, write_config
from tests.builds.services.auth.caller import Caller
from tests.builds.workers import Workers, environment
from tests.factories import base_module
from tests.gitrepos import commit, git, make_repo, package_files, url

DOCUMENT = """document: modulemd
version: 2
data:
  summary: A module
  description: A module of a test.
  license:
    module: [MIT]
  dependencies:
  - buildrequires: {{platform: {platforms}}}
    requires: {{platform: {platforms}}}
  components:
    rpms:
{components}
"""


@pytest.fixture(autouse=True)
def _same_clock() -> None:
    """Tell the service that this machine's clock is that of the database, which the tests start here.

    Otherwise one statement a minute reads it, in addition to those that a test counts.
    """
    clock._clock()._until = inf


@pytest.fixture
def sent_tasks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Names and arguments of tasks that were sent, instead of sending them."""
    tasks: list[tuple[Any, ...]] = []
    monkeypatch.setattr("builds.dispatch.send_now", lambda *task, **_: tasks.append(task))
    return tasks


def document(components: Mapping[str, str], platforms: str = "[f40]", more: str = "") -> str:
    """Return a modulemd document.

    Args:
        components: Name -> its other keys in flow style, such as ``buildorder: 1``.
        more: Lines to append.
    """
    lines = [
        f"      {name}: {{rationale: needed{', ' if keys else ''}{keys}}}"
        for name, keys in components.items()
    ]
    return DOCUMENT.format(platforms=platforms, components="\n".join(lines)) + more


@dataclass
class Forge:
    """Git repositories of modules and packages below one folder."""

    folder: Path

    def package(self, name: str, **more: str | bytes) -> str:
        """Make the dist-git repository of a package; return its commit."""
        files = package_files(name, **more)
        return make_repo(self.folder / "rpms" / name, {"README": "", **files}, branch="main")

    def module(self, name: str, text: str, *, branch: str = "1") -> str:
        """Commit a module's document; return the scm url of that commit."""
        folder = self.folder / "modules" / name
        files = {f"{name}.yaml": text}
        if folder.exists():
            revision = commit(folder, files, when="2020-02-02T02:02:02Z")
        else:
            revision = make_repo(folder, files, branch=branch)
        return f"{url(folder)}?#{revision}"

    def head(self, package: str) -> str:
        """Return the newest commit of a package."""
        return git(self.folder / "rpms" / package, "rev-parse", "HEAD")

    def change(self, package: str) -> str:
        """Commit a change to a package; return the commit."""
        return commit(self.folder / "rpms" / package, {"change": "1"}, when="2021-01-01T00:00:00Z")


@pytest.fixture
def forge(db: None, tmp_path: Path, option: Callable[..., None]) -> Forge:
    """Packages ``alpha`` and ``beta``, and a base module ``platform:f40``."""
    build_system.cache_clear()
    forge = Forge(tmp_path / "git")
    forge.package("alpha")
    forge.package("beta")
    option(
        SCMURLS=(url(forge.folder / "modules") + "/",),
        RPMS_DEFAULT_REPOSITORY=url(forge.folder / "rpms") + "/",
        MODULES_DEFAULT_REPOSITORY=url(forge.folder / "modules") + "/",
        DEFAULT_BRANCH="main",
    )
    base_module("f40", stream_version=400000.0)
    return forge


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of builds for which the workflow was started."""
    numbers: list[int] = []
    monkeypatch.setattr("builds.dispatch.advance", numbers.append)
    return numbers


def submitted(**values: Any) -> list[ModuleBuild]:
    """Submit as anna and from branch 1, unless the values differ."""
    values = {"owner": "anna", **({} if "modulemd" in values else {"branch": "1"}), **values}
    return submit(SubmissionRequest(**values))


def everything() -> list[int]:
    """Return the number of rows in each table that a submission writes to."""
    tables = (ModuleBuild, ComponentBuild, ModuleBuildTrace, OutboxMessage, Submission)
    return [table.objects.count() for table in tables]


def refused(**values: Any) -> MBSError:
    """Return the error with which a submission is refused; check that it recorded nothing."""
    before = everything()
    with pytest.raises(MBSError) as caught:
        submitted(**values)
    assert everything() == before
    return caught.value


@pytest.fixture
def caller(client: Client) -> Caller:
    """A client of the API with arbitrary credentials."""
    client.raise_request_exception = False
    return Caller(client)


@pytest.fixture
def empty_broker(redis_url: str) -> None:
    """Delete the messages of another test."""
    with current_app.connection_for_write() as broker:
        broker.default_channel.client.flushall()


@pytest.fixture
def workers(transactional_db: None, empty_broker: None, redis_url: str, tmp_path: Path) -> Iterator[Workers]:
    """Start workers by ``workers.start()``."""
    build_system.cache_clear()
    workers = Workers(environment(tmp_path, redis_url), tmp_path)
    yield workers
    for worker in workers.started:
        worker.kill()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A RabbitMQ that runs when a test begins; a test that kills it starts it again."""
    if MISSING:
        pytest.skip(MISSING)
    folder: Path = tmp_path_factory.mktemp("rabbitmq")
    broker = RabbitMQ(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def bus_config(broker: RabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for fedora-messaging that names this broker, which this process has loaded.

    Like consumers' files, it contains a port for metrics, which publishers cannot use.
    """
    from fedora_messaging.config import conf

    taken = f'[monitoring]\naddress = "127.0.0.1"\nport = {broker.port}'
    path = write_config(tmp_path_factory.mktemp("bus"), broker.url, more=taken)
    conf.load_config(str(path))
    return path


@pytest.fixture
def queue(broker: RabbitMQ) -> Iterator[str]:
    """A queue that receives every message of a test."""
    name = f"test-{uuid.uuid4()}"
    broker.declare(name, "#")
    yield name
    with broker.channel() as channel:
        channel.queue_delete(name)
