"""Rebuilds of the same commit as a new version, from real repositories."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.utils import timezone

from builds.models import ModuleBuild
from builds.services.module_import import import_module
from mbs.states import BuildState
from tests.builds.rest import Api
from tests.builds.services.documents import PLATFORM
from tests.factories import module_build
from tests.gitrepos import commit, make_repo, package_files

MODULEMD = """\
document: modulemd
version: 2
data:
  {version}
  summary: A module
  description: A module of a test.
  license: {{module: [MIT]}}
  dependencies:
  - buildrequires: {{platform: [f39, f40]}}
    requires: {{platform: []}}
  components:
    rpms:
      first: {{rationale: Needed., ref: master}}
"""
LATER = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def source(api: Api, tmp_path: Path, option: Callable[..., None]) -> Callable[..., str]:
    """Make a module and its package in git, and two platforms; answers the module's scm url."""
    option(
        SCMURLS=(f"{tmp_path.as_uri()}/modules/",),
        RPMS_DEFAULT_REPOSITORY=f"{tmp_path.as_uri()}/rpms/",
        REBUILD_STRATEGY_ALLOW_OVERRIDE=True,
    )
    for stream in ("f39", "f40"):
        import_module(PLATFORM.format(stream=stream))
    make_repo(tmp_path / "rpms" / "first", package_files("first"))

    def made(version: str = "") -> str:
        files = {"quiet.yaml": MODULEMD.format(version=version)}
        hexsha = make_repo(tmp_path / "modules" / "quiet", files, branch="main")
        return f"{(tmp_path / 'modules' / 'quiet').as_uri()}?#{hexsha}"

    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is later."""
    monkeypatch.setattr(timezone, "now", lambda: LATER)


def test_a_commit_is_built_again_with_a_new_version_in_all_contexts(
    api: Api, source: Callable[..., str], clock: None
) -> None:
    scmurl = source()
    first = api.post("module-builds/", {"scmurl": scmurl, "branch": "main", "owner": "ann"})
    assert [build["version"] for build in first] == ["3920180205135154", "4020180205135154"]
    again = api.post(f"module-builds/{first[0]['id']}/rebuild", {"owner": "bob"})
    assert [build["version"] for build in again] == ["3920300102030405", "4020300102030405"]
    assert {build["owner"] for build in again} == {"bob"}
    for before, after in zip(first, again, strict=True):
        same = ("name", "stream", "context", "scmurl", "scratch")
        assert [before[key] for key in same] == [after[key] for key in same]
        assert (before["rebuild_strategy"], after["rebuild_strategy"]) == ("changed-and-after", "all")
    assert {build["state_name"] for build in again} == {"init"}


def test_a_rebuild_keeps_options_and_resolves_branches_again(
    api: Api, source: Callable[..., str], tmp_path: Path, clock: None
) -> None:
    body = {"scmurl": source(), "branch": "main", "buildrequire_overrides": {"platform": ["f39"]}}
    (first,) = api.post("module-builds/", body)
    head = commit(tmp_path / "rpms" / "first", {"new": "file"})
    (again,) = api.post(f"module-builds/{first['id']}/rebuild", {})
    assert list(again["buildrequires"]) == ["platform"]
    assert again["buildrequires"]["platform"]["stream"] == "f39"
    build = ModuleBuild.objects.get(pk=again["id"])
    assert build.component_builds.get(package="first").ref == head


def test_another_rebuild_strategy_may_be_chosen(api: Api, source: Callable[..., str], clock: None) -> None:
    first = api.post("module-builds/", {"scmurl": source(), "branch": "main"})
    again = api.post(f"module-builds/{first[0]['id']}/rebuild", {"rebuild_strategy": "only-changed"})
    assert again[0]["rebuild_strategy"] == "only-changed"


def test_a_rebuild_builds_everything_where_submissions_may_not_choose(
    api: Api, source: Callable[..., str], option: Callable[..., None], clock: None
) -> None:
    first = api.post("module-builds/", {"scmurl": source(), "branch": "main"})
    option(REBUILD_STRATEGY_ALLOW_OVERRIDE=False)
    refused = api.post(
        f"module-builds/{first[0]['id']}/rebuild", {"rebuild_strategy": "only-changed"}, status=400
    )
    assert (refused["code"], refused["hint"]) == (
        "strategy_not_overridable",
        "Leave rebuild_strategy out; it is all.",
    )
    again = api.post(f"module-builds/{first[0]['id']}/rebuild", {})
    assert again[0]["rebuild_strategy"] == "all"


def test_the_operator_chooses_the_strategy_of_rebuilds(
    api: Api, source: Callable[..., str], option: Callable[..., None], clock: None
) -> None:
    option(REBUILD_STRATEGY_ALLOW_OVERRIDE=False, REBUILD_STRATEGY_OF_REBUILDS="only-changed")
    first = api.post("module-builds/", {"scmurl": source(), "branch": "main"})
    again = api.post(f"module-builds/{first[0]['id']}/rebuild", {})
    assert again[0]["rebuild_strategy"] == "only-changed"


def test_the_plan_of_a_rebuild_shows_components_with_reasons_and_records_nothing(
    api: Api, source: Callable[..., str], clock: None
) -> None:
    first = api.post("module-builds/", {"scmurl": source(), "branch": "main"})
    known = ModuleBuild.objects.count()
    plan = api.post(f"module-builds/{first[0]['id']}/rebuild/plan", {}, status=200)
    assert {build["action"] for build in plan["builds"]} == {"build"}
    (component,) = plan["builds"][0]["batches"][1]["components"]
    assert (component["package"], component["reuse"]["code"], component["reuse"]["reused"]) == (
        "first",
        "strategy_all",
        False,
    )
    assert ModuleBuild.objects.count() == known


def test_an_unchanged_commit_is_refused_by_its_name_with_the_way_to_rebuild_it(
    api: Api, source: Callable[..., str]
) -> None:
    scmurl = source()
    first = api.post("module-builds/", {"scmurl": scmurl, "branch": "main"})
    refused = api.post("module-builds/", {"scmurl": scmurl, "branch": "main"}, status=409)
    assert refused["code"] == "exists_already"
    assert scmurl.partition("#")[2] in refused["message"]
    assert f"mbs rebuild {first[0]['id']}" in refused["hint"]


def test_a_version_that_the_document_names_is_no_hindrance(
    api: Api, source: Callable[..., str], clock: None
) -> None:
    first = api.post("module-builds/", {"scmurl": source("version: 7"), "branch": "main"})
    assert first[0]["version"] == "397"
    again = api.post(f"module-builds/{first[0]['id']}/rebuild", {})
    assert again[0]["version"] == "3920300102030405"


def test_a_rebuild_can_be_rebuilt_and_one_in_the_same_second_exists_already(
    api: Api, source: Callable[..., str], clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = api.post("module-builds/", {"scmurl": source(), "branch": "main"})
    again = api.post(f"module-builds/{first[0]['id']}/rebuild", {}, version=1)
    assert again["version"].endswith("20300102030405")
    api.post(f"module-builds/{again['id']}/rebuild", {}, status=409)
    monkeypatch.setattr(timezone, "now", lambda: LATER.replace(second=6))
    third = api.post(f"module-builds/{again['id']}/rebuild", {}, version=1)
    assert third["version"].endswith("20300102030406")


def test_the_allowed_addresses_count_for_a_rebuild_too(
    api: Api, source: Callable[..., str], option: Callable[..., None]
) -> None:
    first = api.post("module-builds/", {"scmurl": source(), "branch": "main"})
    option(SCMURLS=("https://git.example.com/",))
    api.post(f"module-builds/{first[0]['id']}/rebuild", {}, status=403)


@pytest.mark.parametrize("body", [{"scmurl": "x"}, {"rebuild_strategy": "none"}, {"rebuild_strategy": 1}])
def test_invalid_requests_are_refused(api: Api, source: Callable[..., str], body: dict[str, Any]) -> None:
    first = api.post("module-builds/", {"scmurl": source(), "branch": "main"})
    api.post(f"module-builds/{first[0]['id']}/rebuild", body, status=400)


def test_a_build_without_a_commit_cannot_be_rebuilt(api: Api, source: Callable[..., str]) -> None:
    source()
    document = MODULEMD.format(version="stream: s").replace("data:\n", "data:\n  name: sent\n")
    sent = api.post("module-builds/", {"modulemd": document})
    imported = ModuleBuild.objects.filter(name="platform").first()
    assert imported is not None
    for number in (sent[0]["id"], imported.pk, module_build(state=BuildState.READY).pk):
        answer = api.post(f"module-builds/{number}/rebuild", {}, status=409)
        assert answer["code"] == "no_commit"
    api.post("module-builds/999/rebuild", {}, status=404)


@pytest.mark.parametrize("what", ["retry", "rebuild"])
def test_nothing_is_begun_while_the_broker_is_away(
    api: Api, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    build = module_build(state=BuildState.FAILED, owner="anonymous")
    monkeypatch.setattr(current_app.conf, "broker_write_url", "redis://127.0.0.1:1/0")
    assert api.post(f"module-builds/{build.pk}/{what}", {}, status=503)["code"] == "broker_unavailable"
    build.refresh_from_db()
    assert build.state == BuildState.FAILED
