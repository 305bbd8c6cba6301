"""Comparisons of two builds, as a page and as JSON."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from builds import dispatch
from builds.models import CommitRange, FinalModulemd, ModuleBuild, Submission, clock
from builds.services import commits, comparison
from buildsys.recorded import BuiltPackage
from buildsys.simulated import SimulatedBuildSystem
from mbs.states import BuildState, ComponentState
from scm.errors import ScmError
from scm.history import Subjects
from tests.builds.web.browser import BROWSER, get
from tests.factories import START, component_build, module_build
from tests.gitrepos import commit, git, make_repo, url

pytestmark = pytest.mark.django_db
OLD, NEW = "1bd479f" + "0" * 33, "42a3ec9" + "0" * 33
FINAL = """\
document: modulemd
version: 2
data:
  name: quiet
  stream: "1"
  summary: A module
  description: A module of a test.
  license: {{module: [MIT]}}
  artifacts:
    rpms: [{}]
"""
Pair = tuple[ModuleBuild, ModuleBuild]


def requirement(stream: str) -> dict[str, Any]:
    return {"platform": {"stream": stream, "version": "3", "context": "00000000", "ref": "x"}}


@pytest.fixture
def pair() -> Pair:
    """Two ready builds: a component has another commit, one was rebuilt after it, one is new, one is gone."""
    builds = []
    for number, (ref, platform) in enumerate(((OLD, "f39"), (NEW, "f40"))):
        build = module_build(
            state=BuildState.READY,
            context="c0ffee00",
            buildrequires=requirement(platform),
            modulemd=f"name: quiet\nref: {ref}\n<script>\n",
            disttag=f"module+{number}",
        )
        common: dict[str, Any] = {"state": ComponentState.COMPLETE, "scmurl": "https://github.com/rpms/x"}
        times = {"time_started": START, "time_completed": START + timedelta(seconds=7 + number)}
        reasons = [
            ("commit_changed", f"was {OLD}, is {NEW}"),
            ("earlier_changed", f"was lib#{OLD} in batch 2 for x86_64, is none"),
        ]
        why = [{"reuse_code": code, "reuse_detail": detail} if number else {} for code, detail in reasons]
        component_build(build, package="lib", ref=ref, nvr=f"lib-{number}", **common, **times, **why[0])
        component_build(build, package="tool", ref=OLD, nvr=f"tool-{number}", **common, **why[1])
        component_build(build, package="kept", ref=OLD, nvr="kept-1", **common)
        component_build(build, package=("gone", "fresh")[number], ref=OLD, **common)
        component_build(build, package="module-build-macros", build_time_only=True)
        rpms = (
            "lib-0:1-1.x86_64, gone-0:1-1.x86_64, kept-0:1-1.noarch",
            "lib-0:1-2.x86_64, fresh-0:1-1.x86_64, kept-0:1-1.noarch",
        )
        FinalModulemd.objects.create(module_build=build, arch="x86_64", document=FINAL.format(rpms[number]))
        builds.append(build)
    return builds[0], builds[1]


def as_json(client: Client, path: str, status: int = 200) -> dict[str, Any]:
    answer = client.get(f"/module-build-service/2/module-builds/{path}")
    assert answer.status_code == status, answer.content
    return answer.json()


def test_changed_components_are_shown_with_reasons(client: Client, pair: Pair) -> None:
    old, new = pair
    found = {
        each["package"]: each
        for each in as_json(client, f"{new.pk}/compare?with={old.pk}&all=1")["components"]
    }
    assert {package: each["change"] for package, each in found.items()} == {
        "lib": "commit",
        "tool": "rebuilt",
        "kept": "reused",
        "gone": "removed",
        "fresh": "added",
    }
    assert found["lib"]["why"] == "commit 1bd479f → 42a3ec9"
    assert found["tool"]["why"] == "built after lib, which changed"
    assert found["lib"]["url"] == f"https://github.com/rpms/x/compare/{OLD}...{NEW}"
    assert (found["lib"]["old"]["seconds"], found["lib"]["new"]["seconds"]) == (7.0, 8.0)
    assert found["gone"]["new"] is None


def test_changed_components_come_first_and_unchanged_ones_are_counted(client: Client, pair: Pair) -> None:
    address = f"{pair[1].pk}/compare?with={pair[0].pk}"
    few, everything = as_json(client, address), as_json(client, f"{address}&all=1")
    changes = [each["change"] for each in few["components"]]
    assert (changes, few["unchanged"]) == (["commit", "added", "removed", "rebuilt"], 1)
    assert [each["change"] for each in everything["components"]] == [*changes, "reused"]
    page = f"/compare/{pair[0].pk}...{pair[1].pk}"
    assert "kept" not in get(client, page).text.partition("Buildrequires")[0]
    assert "kept" in get(client, f"{page}?all=1").text.partition("Buildrequires")[0]


def test_a_comparison_of_very_many_components_is_bounded(
    client: Client, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "MAX_COMPONENTS", 2)
    found = as_json(client, f"{pair[1].pk}/compare?with={pair[0].pk}&all=1")
    assert (len(found["components"]), found["more_components"]) == (2, 3)
    assert "3 more are not shown" in get(client, f"/compare/{pair[0].pk}...{pair[1].pk}?all=1").text


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The tasks that were sent."""
    cache.clear()
    tasks: list[tuple[Any, ...]] = []
    monkeypatch.setattr(dispatch, "send_quickly", lambda *args, **options: tasks.append(args))
    return tasks


def test_subjects_of_commits_are_read_by_a_task_once_and_then_shown(
    client: Client, pair: Pair, sent: list[tuple[Any, ...]], tmp_path: Path, settings: Any
) -> None:
    old, new = pair
    make_repo(tmp_path / "lib", {"file": "one"})
    first = git(tmp_path / "lib", "rev-parse", "HEAD")
    for text in ("Fix the <b>lock</b>", "\x1b[31mred\x1b[0m"):
        last = commit(tmp_path / "lib", {"file": text}, text)
    for build, ref in ((old, first), (new, last)):
        build.component_builds.filter(package="lib").update(scmurl=url(tmp_path / "lib"), ref=ref)
    settings.MBS = settings.MBS.model_copy(update={"ALLOW_PRIVATE_SCM_HOSTS": True})
    address = f"{new.pk}/compare?with={old.pk}"
    for _ in range(2):
        found = as_json(client, address)
        assert (found["components"][0]["commits"], found["reading_commits"]) == (None, True)
    assert sent == [(commits.TASK, old.pk, new.pk)]
    commits.read(old.pk, new.pk)
    found = as_json(client, address)
    shown = [(each["commit"] == last, each["subject"]) for each in found["components"][0]["commits"]]
    assert shown == [(True, "\\x1b[31mred\\x1b[0m"), (False, "Fix the <b>lock</b>")]
    assert found["reading_commits"] is False
    page = get(client, f"/compare/{old.pk}...{new.pk}").html
    assert "Fix the &lt;b&gt;lock&lt;/b&gt;" in page


def test_a_repository_that_cannot_be_read_has_no_subjects_and_is_not_asked_again(
    client: Client, pair: Pair, sent: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def refuse(url: str, *args: Any) -> Any:
        asked.append(url)
        raise ScmError("No.", code="repository_unreachable")

    monkeypatch.setattr(commits, "subjects", refuse)
    for _ in range(2):
        commits.read(pair[0].pk, pair[1].pk)
    found = as_json(client, f"{pair[1].pk}/compare")
    assert (found["components"][0]["commits"], found["reading_commits"]) == (None, False)
    assert (asked, sent) == (["https://github.com/rpms/x"], [])


def test_a_comparison_does_not_wait_for_a_broker_that_hangs(
    client: Client, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.clear()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        monkeypatch.setattr(current_app.conf, "broker_write_url", address)
        started = time.monotonic()
        assert as_json(client, f"{pair[1].pk}/compare")["components"]
        passed = time.monotonic() - started
        silent.settimeout(0)
        silent.accept()[0].close()
    # Celery would wait for 10 seconds.
    assert passed < 8


@pytest.fixture
def many(sent: list[tuple[Any, ...]]) -> list[str]:
    """Addresses of comparisons that would each read git."""
    builds = [module_build(context=f"c{number}") for number in range(5)]
    for number, build in enumerate(builds):
        component_build(build, package="lib", ref=f"{number:040}", scmurl="https://github.com/rpms/x")
    return [f"{build.pk}/compare?with={builds[0].pk}" for build in builds[1:]]


def test_comparisons_of_strangers_send_one_task_at_a_time_from_all_processes(
    client: Client, many: list[str], sent: list[tuple[Any, ...]]
) -> None:
    for address in many:
        as_json(client, address)
        cache.clear()  # another process
    assert len(sent) == 1
    CommitRange.objects.update(read_at=clock.now() - timedelta(minutes=1))
    for address in many:
        as_json(client, address)
    assert len(sent) == 2


def test_one_client_does_not_take_all_turns(
    client: Client, many: list[str], sent: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "_PAUSE", timedelta(0))
    monkeypatch.setattr(commits, "_SHARE", 2)
    client.defaults["REMOTE_ADDR"] = "2001:db8::1"
    found = [as_json(client, address)["reading_commits"] for address in many]
    assert found == [True, True, False, False]
    client.defaults["REMOTE_ADDR"] = "2001:db8::2"  # the same customer
    assert not as_json(client, many[3])["reading_commits"]
    client.defaults["REMOTE_ADDR"] = "2001:db8:1::1"
    assert as_json(client, many[3])["reading_commits"]
    assert len(sent) == 3


def test_the_number_of_stored_ranges_is_bounded(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "MAX_RANGES", 2)
    monkeypatch.setattr(commits, "_MAX_STORED", 5)
    monkeypatch.setattr(commits, "subjects", lambda *_: Subjects(()))
    for hours in range(9):
        CommitRange.objects.create(key=str(hours), read_at=clock.now() - timedelta(hours=hours))
    commits.read(pair[0].pk, pair[1].pk)
    kept = set(CommitRange.objects.values_list("key", flat=True))
    assert {"0", "1", "2"} < kept
    assert len(kept) == 4


def test_changed_buildrequires_and_rpms_are_shown(client: Client, pair: Pair) -> None:
    found = as_json(client, f"{pair[1].pk}/compare")
    assert found["buildrequires"] == [{"name": "platform", "old": "f39:3:00000000", "new": "f40:3:00000000"}]
    rpms = found["rpms"]
    assert [each["nevra"] for each in rpms["added"]] == ["fresh-0:1-1.x86_64"]
    assert [each["nevra"] for each in rpms["removed"]] == ["gone-0:1-1.x86_64"]
    assert [(each["name"], each["old"], each["new"]) for each in rpms["changed"]] == [
        ("lib", "0:1-1", "0:1-2")
    ]
    assert rpms["same"] == 1


def test_sizes_and_dependencies_are_shown_if_the_build_system_records_them(
    client: Client, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recorded(system: Any, module: Any) -> Iterator[BuiltPackage]:
        second = module.id == pair[1].pk
        provides = (f"lib = 1.module+{int(second)}", *(["libquiet.so.2"] if second else []))
        yield BuiltPackage("lib", f"0:1-{1 + second}", "x86_64", 1000 + second, ("glibc",), provides)

    monkeypatch.setattr(SimulatedBuildSystem, "recorded_rpms", recorded, raising=False)
    (changed,) = as_json(client, f"{pair[1].pk}/compare")["rpms"]["changed"]
    assert (changed["old_size"], changed["new_size"]) == (1000, 1001)
    assert changed["requires"] is None
    assert changed["provides"] == {"added": ["libquiet.so.2"], "removed": []}
    assert "+1" in get(client, f"/compare/{pair[0].pk}...{pair[1].pk}").text


def test_recorded_sizes_are_compared_without_the_build_system(client: Client, pair: Pair) -> None:
    for build, sizes in zip(
        pair,
        (
            {"lib-0:1-1.x86_64": 1000, "gone-0:1-1.x86_64": 7},
            {"lib-0:1-2.x86_64": 1500, "fresh-0:1-1.x86_64": 2048},
        ),
        strict=True,
    ):
        FinalModulemd.objects.filter(module_build=build).update(sizes=sizes)
    rpms = as_json(client, f"{pair[1].pk}/compare")["rpms"]
    (changed,) = rpms["changed"]
    assert (changed["old_size"], changed["new_size"]) == (1000, 1500)
    assert [each["size"] for each in (*rpms["added"], *rpms["removed"])] == [2048, 7]
    text = get(client, f"/compare/{pair[0].pk}...{pair[1].pk}").text
    assert "fresh-0:1-1.x86_64 2.0 KB" in text
    assert "1.5 KB +500 bytes (+50%)" in text
    assert "Requires and provides" not in text
    assert "not recorded" not in text


def test_unknown_sizes_are_said(client: Client, pair: Pair) -> None:
    text = get(client, f"/compare/{pair[0].pk}...{pair[1].pk}").text
    assert "Their sizes are not recorded." in text


def test_the_page_shows_the_same_escaped(client: Client, pair: Pair) -> None:
    old, new = pair
    page = get(client, f"/compare/{old.pk}...{new.pk}")
    for text in (
        "commit 1bd479f → 42a3ec9",
        "f39:3:00000000",
        "fresh-0:1-1.x86_64",
        "1 without a difference",
    ):
        assert text in page.text
    assert f"https://github.com/rpms/x/compare/{OLD}...{NEW}" in page.all("a", "href")


def test_documents_stand_side_by_side(client: Client, pair: Pair) -> None:
    address = f"/compare/{pair[0].pk}...{pair[1].pk}"
    for build, text in zip(pair, ("summary: one", "summary: two"), strict=True):
        Submission.objects.create(module_build=build, document=text)
    assert "summary: one summary: two" not in get(client, address).text
    assert {"summary: one", "summary: two"} <= set(
        get(client, f"{address}?document=submitted").html.replace("<", ">").split(">")
    )
    expanded = get(client, f"{address}?document=expanded")
    assert f"ref: {NEW}" in expanded.html
    assert "<script>" not in expanded.html.partition("<main")[2]
    assert "fresh-0:1-1" in get(client, f"{address}?document=final").text
    get(client, f"{address}?document=secret", status=400)


def test_a_document_that_is_not_recorded_is_reported(client: Client, pair: Pair) -> None:
    page = get(client, f"/compare/{pair[0].pk}...{pair[1].pk}?document=submitted")
    assert f"of build {pair[0].pk} and of build {pair[1].pk} is not recorded" in page.text


def test_a_build_is_compared_with_the_last_ready_one_of_its_context(client: Client, pair: Pair) -> None:
    old, new = pair
    module_build(state=BuildState.READY, context="other000")
    newest = module_build(state=BuildState.FAILED, context="c0ffee00")
    answer = client.get(f"/builds/{newest.pk}/compare", headers=BROWSER)
    assert answer["Location"] == f"/compare/{new.pk}...{newest.pk}"
    assert as_json(client, f"{newest.pk}/compare")["old"]["id"] == new.pk
    assert as_json(client, f"{old.pk}/compare", status=404)["code"] == "nothing_to_compare"
    get(client, f"/builds/{old.pk}/compare", status=404)


def test_a_program_gets_the_comparison_as_json(client: Client, pair: Pair) -> None:
    found = client.get(f"/compare/{pair[0].pk}...{pair[1].pk}").json()
    assert (found["old"]["id"], found["new"]["id"]) == (pair[0].pk, pair[1].pk)


@pytest.mark.parametrize("query", ["with=x", "with=-1", "with=" + "9" * 30])
def test_a_wrong_number_is_refused(client: Client, pair: Pair, query: str) -> None:
    as_json(client, f"{pair[1].pk}/compare?{query}", status=400)


def test_builds_that_are_not_there_are_not_found(client: Client, pair: Pair) -> None:
    get(client, f"/compare/{pair[0].pk}...999999", status=404)
    as_json(client, f"{pair[0].pk}/compare?with=999999", status=404)


def test_a_comparison_takes_as_many_statements_with_more_components(client: Client, pair: Pair) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            get(client, f"/compare/{pair[0].pk}...{pair[1].pk}")
        return len(queries)

    statements()  # has the commits read
    few = statements()
    for _ in range(10):
        component_build(pair[1])
    assert statements() == few
