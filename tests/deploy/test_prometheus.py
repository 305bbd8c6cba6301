"""A real Prometheus with the configuration of ``deploy`` queries a real service that builds a module."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from mbs.client.address import Running
from mbs.client.demo.example import PLATFORM
from mbs.client.demo.service import service
from tests.deploy import queries
from tests.gitrepos import git
from tests.processes import free_port, wait_for

DOCUMENT = """\
document: modulemd
version: 2
data:
  summary: A module
  description: Of one package.
  license: {{module: [MIT]}}
  dependencies: [{{buildrequires: {{platform: [el9]}}, requires: {{platform: [el9]}}}}]
  components: {{rpms: {{alpha: {{rationale: A package., ref: main, repository: "file://{repository}"}}}}}}
"""


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[httpx.Client]:
    """A Prometheus that asks the service every second; a client for its API."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not installed: deploy/system-packages test")
    config = (queries.DEPLOY / "prometheus.yml").read_text()
    config = config.replace("15s", "1s").replace("127.0.0.1:8080", target)
    (folder / "prometheus.yml").write_text(config)
    shutil.copy(queries.RULES, folder)
    port = free_port()
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1/", trust_env=False) as client:
            yield client
    finally:
        server.terminate()
        server.wait()


def ask(client: httpx.Client, query: str) -> list[Any]:
    try:
        answer = client.get("query", params={"query": query})
    except httpx.ConnectError:
        return []
    if answer.status_code == 503:  # it is about to start
        return []
    assert answer.status_code == 200, f"{query}: {answer.text}"
    result: list[Any] = answer.json()["data"]["result"]
    return result


def build(service: Running, folder: Path) -> None:
    """Let the service build a module of one package."""
    repository = folder / "alpha"
    repository.mkdir()
    (repository / "alpha.spec").write_text("Name: alpha\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\n")
    git(repository, "init", "--initial-branch=main")
    git(repository, "add", ".")
    git(repository, "commit", "--message=one")
    builds = f"{service.base_url}/module-build-service/2/module-builds/"
    body = {
        "modulemd": DOCUMENT.format(repository=repository),
        "module_name": "one",
        "module_stream": "1",
    }
    answer = httpx.post(builds, json=body, timeout=60, trust_env=False)
    assert answer.status_code == 201, answer.text
    path = f"{builds}{answer.json()[0]['id']}"
    wait_for(lambda: httpx.get(path, trust_env=False).json()["state_name"] == "ready", 60, "a finished build")


def test_every_query_is_answered_and_every_rule_is_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("MBS_", "DJANGO_", "PROMETHEUS_"))]:
        monkeypatch.delenv(name)
    data = tmp_path / "data"
    for name, value in {"MBS_SYSTEM": "simulated", "MBS_DATA_DIR": str(data)}.items():
        monkeypatch.setenv(name, value)
    with (
        service(data, keep=False, modules=[PLATFORM]) as mine,
        prometheus(tmp_path, mine.ready().base_url.split("/")[2]) as client,
    ):
        wait_for(lambda: ask(client, 'up{job="mbs"} == 1'), 30, "the first scrape")
        build(mine.ready(), tmp_path)
        wait_for(
            lambda: ask(client, "sum(rate(mbs_reaction_seconds_count[5m])) > 0"), 30, "figures of the build"
        )
        for query in queries.of_dashboard():
            wait_for(lambda query=query: ask(client, query), 60, f"an answer to {query}")
        rules = [rule for group in client.get("rules").json()["data"]["groups"] for rule in group["rules"]]
        assert len(rules) == len(queries.of_rules())
        assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
        assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
