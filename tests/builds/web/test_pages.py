"""Pages of builds in a browser."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.models import FinalModulemd, LogMessage, ModuleBuild, ModuleBuildTrace
from builds.selectors.forecasts import Forecast
from builds.web import components, outcome, pages
from buildsys.delivery import LeftOut
from mbs.states import ACTIVE, BuildState, ComponentState
from tests.builds.web.browser import Get, Page
from tests.factories import component_build, module_build, wait

pytestmark = pytest.mark.django_db


def statements(get: Get, path: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        get(path)
    return len(queries)


def building(**values: Any) -> ModuleBuild:
    """A build under way since ten minutes: one component complete, one building, one not started."""
    start = timezone.now() - timedelta(minutes=10)
    build = module_build(state=BuildState.BUILD, time_submitted=start, batch=2, batches=3, **values)
    half = start + timedelta(minutes=5)
    component_build(
        build,
        package="first",
        batch=1,
        state=ComponentState.COMPLETE,
        time_started=start,
        time_completed=half,
        nvr="first-1-1",
        task_url="https://koji.example.com/1",
    )
    component_build(build, package="second", batch=2, state=ComponentState.BUILDING, time_started=half)
    component_build(build, package="third", batch=3)
    return build


@pytest.mark.parametrize("state", sorted(ACTIVE))
def test_an_active_build_without_a_parked_task_shows_the_event_that_it_waits_for(
    get: Get, state: BuildState
) -> None:
    build = module_build(state=state)
    for path in ("/", f"/builds/{build.pk}"):
        assert build.waits_for in get(path).text
    ModuleBuild.objects.update(state=BuildState.READY)
    for path in ("/", f"/builds/{build.pk}"):
        assert build.waits_for not in get(path).text


def test_the_front_page_shows_the_latest_builds(get: Get) -> None:
    build = building(name="quiet", stream="1", owner="ann")
    wait(build, what="second is being built")
    page = get("/")
    assert (
        f"build quiet :1 :{build.version} :{build.context} ann 1 of 3, 1 building second is being built"
        in page.text
    )
    assert f"/builds/{build.pk}" in page.all("a", "href")
    assert page.all("progress", "value") == ["1"]
    assert page.all("progress", "max") == ["3"]
    assert {"/module-build-service/2/", "/module-build-service/2/docs/", "/admin/"} <= {
        *page.all("a", "href")
    }


def test_the_front_page_shows_why_builds_failed(get: Get) -> None:
    build = module_build(state=BuildState.FAILED, state_reason="libfoo failed")
    component_build(build, state=ComponentState.FAILED)
    assert "1 failed libfoo failed" in get("/").text


def test_without_builds_the_front_page_explains_how_to_submit_one(get: Get) -> None:
    assert "mbs submit" in get("/").text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("state=active", {"a"}),
        ("state=failed", {"b"}),
        ("owner=bob", {"b", "c"}),
        ("owner=bob&state=ready", {"c"}),
        ("owner=nobody", set()),
    ],
)
def test_the_list_can_be_narrowed(get: Get, query: str, shown: set[str]) -> None:
    module_build(name="a", owner="ann", state=BuildState.WAIT)
    module_build(name="b", owner="bob", state=BuildState.FAILED)
    module_build(name="c", owner="bob", state=BuildState.READY)
    page = get(f"/?{query}")
    assert {name for name in "abc" if f"<b>{name}</b>" in page.html} == shown


def test_earlier_builds_are_a_link_away_and_keep_what_was_chosen(get: Get) -> None:
    rows = [module_build(owner="a&b") for _ in range(pages.LINES + 1)]
    page = get("/?owner=a%26b")
    assert f"/builds/{rows[0].pk}" not in page.all("a", "href")
    earlier = next(href for href in page.all("a", "href") if "before=" in href)
    assert f"/builds/{rows[0].pk}" in get(earlier).all("a", "href")
    assert "owner=a%26b" in earlier


@pytest.mark.parametrize("query", ["state=x", "before=x", "before=", f"before={'9' * 19}"])
def test_a_query_that_cannot_be_shown_has_an_error_page(get: Get, query: str) -> None:
    assert "400 Bad Request" in get(f"/?{query}", status=400).text


def test_strange_bytes_do_no_harm(get: Get) -> None:
    page = get("/?owner=%00%ff%22%3Cscript%3E", status=400)
    assert "<script>" not in page.html


def test_the_number_of_statements_does_not_grow_with_what_is_shown(get: Get) -> None:
    wait(building())
    get("/")  # the pace of the service is learned once a minute
    few = statements(get, "/")
    for _ in range(10):
        wait(building())
    assert statements(get, "/") == few == 6
    build = building()
    few = statements(get, f"/builds/{build.pk}")
    for number in range(30):
        component = component_build(build, state=ComponentState.BUILDING)
        wait(build, component_build=component)
        LogMessage.objects.create(component_build=component, message=str(number))
    assert statements(get, f"/builds/{build.pk}") == few == 10


def test_a_build_shows_its_components_as_bars_on_an_axis_of_time(
    get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "of_builds", lambda builds, now: Forecast(now))
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    page = get(f"/builds/{building().pk}")
    bars = [attributes for tag, attributes in page.tags if tag == "rect" and "%" in attributes["x"]]
    second, first = bars[-2:]
    assert (first["class"], first["x"], float(first["width"][:-1])) == (
        "complete",
        "0.00%",
        pytest.approx(50, abs=2),
    )
    assert (second["class"], float(second["x"][:-1])) == ("building", pytest.approx(50, abs=2))
    assert float(second["x"][:-1]) + float(second["width"][:-1]) == pytest.approx(100, abs=0.1)
    assert "0 s 2 min 30 s 5 min 00 s 7 min 30 s 10 min" in page.text
    assert "batch 2 of 3" in page.text
    assert "third batch 3 waiting" in page.text
    assert "https://koji.example.com/1" in page.all("a", "href")


def test_a_build_shows_its_states_one_after_the_other(get: Get) -> None:
    build = module_build(state=BuildState.READY, time_completed=None)
    start = build.time_submitted
    build.state_trace.all().delete()
    for state, seconds, reason in ((0, 0, "submitted"), (1, 30, ""), (2, 60, ""), (3, 90, ""), (5, 120, "")):
        ModuleBuildTrace.objects.create(
            module_build=build, state=state, time=start + timedelta(seconds=seconds), state_reason=reason
        )
    ModuleBuild.objects.filter(pk=build.pk).update(time_completed=start + timedelta(seconds=120))
    page = get(f"/builds/{build.pk}")
    assert [attributes["x"] for tag, attributes in page.tags if tag == "rect"] == [
        "0.00%",
        "25.00%",
        "50.00%",
        "75.00%",
        "99.60%",
    ]
    assert "init 30 s submitted" in page.text
    assert "took 2 min 00 s" in page.text


def test_the_page_of_a_build_shows_waits_log_messages_and_the_command_to_watch_it(get: Get) -> None:
    build = building()
    wait(build, what="second is being built", wakes_on="the end of its task")
    LogMessage.objects.create(module_build=build, message="found <b>in git</b>")
    LogMessage.objects.create(component_build=build.component_builds.last(), message="waits")
    page = get(f"/builds/{build.pk}")
    assert "second is being built (since 2024-01-01 ; woken by the end of its task)" in page.text
    assert "found <b>in git</b>" in page.text
    assert "1 message about third 00:00:00 waits" in re.sub(r"\d\d:\d\d:\d\d", "00:00:00", page.text)
    assert f"mbs watch {build.pk} --server http://testserver" in page.text
    assert page.all("p", "data-events") == [f"/module-build-service/2/module-builds/{build.pk}/events"]


def test_a_failed_build_shows_the_reason_and_the_remedy(get: Get) -> None:
    build = module_build(
        state=BuildState.FAILED,
        state_reason="libfoo failed",
        error_code="component_failed",
        error_hint="Mend it.",
    )
    text = get(f"/builds/{build.pk}").text
    assert "Why it failed libfoo failed What to do: Mend it. Code component_failed" in text
    assert f"mbs retry {build.pk}" in text


def test_components_are_listed_with_their_numbers_in_order(get: Get) -> None:
    build = module_build(state=BuildState.BUILD)
    for package in ("c1", "c10", "c2"):
        component_build(build, package=package)
    text = get(f"/builds/{build.pk}").text
    assert text.index("c1 ") < text.index("c2 ") < text.index("c10 ")


EXCERPT = {
    "component": "libfoo",
    "component_build": 5,
    "log": "build.log",
    "line": 12,
    "first_line": 11,
    "cause": "x.c:1: error: <b>bad</b>",
    "lines": ["gcc -c x.c", "x.c:1: error: <b>bad</b>"],
    "url": "/builds/1/libfoo/log?line=12#L12",
}


def test_components_in_many_batches_are_shown_up_to_a_number_in_all(
    get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(components, "MAX_OF_ONE", 3)
    build = module_build(state=BuildState.READY)
    for batch in (1, 2, 3):
        for place in (1, 2):
            name = f"package-{batch}-{place}"
            component_build(build, package=name, batch=batch, state=ComponentState.COMPLETE)
    page = get(f"/builds/{build.pk}?components=batches")
    table = page.text[page.text.index("Batch 1") : page.text.index("Batch 3")]
    assert [name for name in table.split() if name.startswith("package-")] == [
        "package-1-1",
        "package-1-2",
        "package-2-1",
    ]
    assert "1 more" in table
    assert "2 more" in page.text


def test_a_failed_compile_is_shown_by_the_lines_of_its_log_escaped(get: Get) -> None:
    build = module_build(
        state=BuildState.FAILED, error_code="component_failed", error_hint="Fix it.", error_excerpt=EXCERPT
    )
    page = get(f"/builds/{build.pk}")
    assert "libfoo: build.log, line 12" in page.text
    assert "11 gcc -c x.c 12 x.c:1: error: <b>bad</b>" in page.text
    assert EXCERPT["url"] in page.all("a", "href")
    assert page.text.index("What to do: Fix it.") < page.text.index(f"mbs retry {build.pk}")


def test_a_canceled_build_does_not_look_like_a_failed_one(get: Get) -> None:
    build = module_build(state=BuildState.FAILED, state_reason="Canceled by ann.", error_code="canceled")
    page = get(f"/builds/{build.pk}")
    assert "Canceled Canceled by ann. What to do:" in page.text
    assert "Why it failed" not in page.text
    states = {attributes.get("class") for tag, attributes in page.tags if tag == "span"}
    assert "state canceled" in states
    assert "state failed" not in states
    assert "state failed" not in {attributes.get("class") for _, attributes in get("/").tags}


FINAL = """\
document: modulemd
version: 2
data:
  name: quiet
  stream: "1"
  version: 20240101000000
  context: c1
  summary: Quiet
  description: Quiet.
  license: {module: [MIT]}
  profiles: {default: {rpms: [shown]}}
  api: {rpms: [offered]}
  filter: {rpms: [hidden]}
  artifacts: {rpms: ["shown-0:1-1.noarch"]}
"""


def test_a_ready_build_shows_repository_install_commands_and_content(get: Get) -> None:
    values = {"name": "quiet", "stream": "1", "version": "20240101000000", "state": BuildState.READY}
    build = module_build(
        **values,
        context="c1",
        repository_url="http://testserver/results/streams/quiet/1/repo/",
        repo_file_url="http://testserver/results/streams/quiet/1/mbs-quiet-1.repo",
        install=["curl -o x y", "dnf module install quiet:1/default"],
    )
    sibling = module_build(**values, context="c2")
    FinalModulemd.objects.create(module_build=build, arch="x86_64", document=FINAL)
    page = get(f"/builds/{build.pk}")
    assert "curl -o x y dnf module install quiet:1/default" in page.text
    assert {build.repository_url, build.repo_file_url, f"/builds/{sibling.pk}"} <= set(page.all("a", "href"))
    for text in ("Profile default shown", "API offered", "Filtered out hidden", "RPMs shown-0:1-1.noarch"):
        assert text in page.text


def test_a_build_outside_the_repository_of_its_stream_says_which_build_is_there_instead(
    get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = "http://testserver/results/streams/quiet/1/repo/"
    values = {"name": "quiet", "stream": "1", "state": BuildState.READY, "repository_url": stream}
    build = module_build(**values, context="c1", koji_tag="tag-1", install=["dnf module install quiet:1"])
    other = module_build(**values, context="c2", koji_tag="tag-2")

    def shown(found: LeftOut | None) -> Page:
        system = SimpleNamespace(left_out=lambda module: found)
        monkeypatch.setattr(outcome, "build_system", lambda: system)
        return get(f"/builds/{build.pk}")

    page = shown(LeftOut("http://testserver/results/own/", instead="tag-2"))
    assert (
        f"This build is not in the repository of quiet:1, because the repository contains build {other.pk} "
        "(context c2), and dnf would mix the packages of both"
    ) in page.text
    assert {f"/builds/{other.pk}", "http://testserver/results/own/"} <= set(page.all("a", "href"))
    assert stream not in page.all("a", "href")
    assert "dnf module install" not in page.text
    page = shown(LeftOut("http://testserver/results/own/"))
    assert "no longer in the repository of quiet:1, which only contains the latest builds" in page.text
    assert "dnf module install quiet:1" in shown(None).text


def test_rpms_that_are_not_served_here_are_listed_with_their_sizes(
    get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = module_build(state=BuildState.READY)
    sizes = {"shown-0:1-1.src": 1024, "shown-0:1-1.noarch": 2048, "<b>-0:1-1.noarch": 512}
    FinalModulemd.objects.create(module_build=build, arch="x86_64", document=FINAL, sizes=sizes)
    text = get(f"/builds/{build.pk}").text
    assert (
        "RPMs: 3 files, 3.5 KB <b>-0:1-1.noarch 512 bytes shown-0:1-1.noarch 2.0 KB shown-0:1-1.src" in text
    )
    monkeypatch.setattr(outcome, "MAX_RPMS", 2)
    text = get(f"/builds/{build.pk}").text
    assert "RPMs: 3 files, 3.5 KB" in text
    assert "1 more are not shown" in text


def test_the_rpms_of_all_architectures_are_listed(get: Get) -> None:
    build = module_build(state=BuildState.READY)
    for arch in ("aarch64", "s390x", "x86_64"):
        sizes = {f"shown-0:1-1.{arch}": 1024, "shown-doc-0:1-1.noarch": 512}
        FinalModulemd.objects.create(module_build=build, arch=arch, document=FINAL, sizes=sizes)
    FinalModulemd.objects.create(module_build=build, arch="ppc64le", document=FINAL)
    text = get(f"/builds/{build.pk}").text
    assert (
        "RPMs: 4 files, 3.5 KB shown-0:1-1.aarch64 1.0 KB shown-0:1-1.s390x 1.0 KB "
        "shown-0:1-1.x86_64 1.0 KB shown-doc-0:1-1.noarch 512 bytes"
    ) in text


def test_a_ready_build_whose_document_cannot_be_read_is_shown_all_the_same(get: Get) -> None:
    build = module_build(state=BuildState.READY)
    FinalModulemd.objects.create(module_build=build, arch="x86_64", document="no: modulemd")
    assert "The build system does not create a repository for users" in get(f"/builds/{build.pk}").text


def test_a_reused_component_has_no_bar_of_its_former_build(get: Get) -> None:
    former = building().component_builds.first()
    build = module_build(state=BuildState.BUILD, time_submitted=timezone.now())
    component_build(
        build, state=ComponentState.COMPLETE, reused_component=former, time_started=former.time_started
    )
    page = get(f"/builds/{build.pk}")
    assert "reused" in page.text
    assert not [1 for tag, attributes in page.tags if tag == "rect" and attributes["class"] == "complete"]


@pytest.mark.parametrize(
    "path", ["/builds/77", f"/builds/{'9' * 18}", f"/builds/{'9' * 30}", "/builds/x", "/nothing"]
)
def test_missing_pages_link_to_the_front_page(get: Get, path: str) -> None:
    page = get(path, status=404)
    assert "404 Not Found There is no" in page.text
    assert "/" in page.all("a", "href")


def test_a_fault_of_ours_is_a_page_with_the_number_of_the_incident(
    get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(pages.pages, "latest", broken)
    page = get("/", status=500)
    assert "This is incident" in page.text
    assert "secret" not in page.html


@pytest.mark.parametrize("accept", ["application/json", "*/*", ""])
def test_programs_get_json_at_the_same_addresses(client: Client, accept: str) -> None:
    build = module_build()
    headers = {"Accept": accept}
    assert "module-builds" in client.get("/", headers=headers).json()
    assert client.get(f"/builds/{build.pk}", headers=headers).json()["id"] == build.pk
    assert client.get("/builds/77", headers=headers).json()["code"] == "no_such_module_build"
    assert client.post("/", headers=headers).json()["status"] == 405


def test_nothing_on_the_pages_comes_from_elsewhere_or_runs_in_line(get: Get) -> None:
    for path in ("/", f"/builds/{building().pk}"):
        page = get(path)
        sources = [*page.all("script", "src"), *page.all("link", "href")]
        assert sources
        assert all(source.startswith(("/static/", "/feeds/")) for source in sources)
        assert len(page.all("script", "src")) == sum(tag == "script" for tag, _ in page.tags)
        assert not [
            1
            for _, attributes in page.tags
            for name in attributes
            if name == "style" or name.startswith("on")
        ]


def test_styles_and_scripts_are_served(client: Client, get: Get) -> None:
    page = get("/")
    for address in [*page.all("script", "src"), *page.all("link", "href")]:
        assert client.get(address).status_code == 200, address


def test_the_owner_may_be_called_anything(get: Get) -> None:
    module_build(owner="<script>alert(1)</script>&?=#")
    page = get("/")
    assert "<script>alert" not in page.html
    link = next(href for href in page.all("a", "href") if "owner=" in href)
    assert "<script>alert(1)</script>&?=#" in get(link).text


def test_pages_of_a_simulated_build_system_have_a_notice(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "it builds no packages" in get("/").text
    assert "it builds no packages" in get(f"/builds/{module_build().pk}").text
