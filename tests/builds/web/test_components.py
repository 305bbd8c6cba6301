"""Groups of components, the reasons of their builds, and the graph of their order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from builds.models import LogMessage, ModuleBuild
from builds.web import components, graph
from mbs.reuse import Decision, brief
from mbs.states import BuildState, ComponentState
from tests.builds.web.browser import Page, get
from tests.factories import START, component_build, module_build

pytestmark = pytest.mark.django_db
OLD, NEW = "1bd479f" + "0" * 33, "42a3ec9" + "0" * 33


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (Decision("a", "reused", "x", "x"), "reused"),
        (Decision("a", "commit_changed", OLD, NEW), "commit 1bd479f → 42a3ec9"),
        (Decision("a", "commit_changed", "", NEW), "commit none → 42a3ec9"),
        (Decision("a", "commit_changed", "", ""), "commit none → none"),
        (Decision("a", "arches_changed", "x86_64", "i686 x86_64"), "architectures x86_64 → i686 x86_64"),
        (Decision("a", "batch_changed", "2", "3"), "batch 2 → 3"),
        (
            Decision("a", "earlier_changed", "lib#1 in batch 2 for x86_64", "lib#2 in batch 2 for x86_64"),
            "built after lib, which changed",
        ),
        (
            Decision("a", "earlier_changed", "", ", ".join(f"p{n}#1 in batch 2 for x" for n in range(5))),
            "built after p0, p1, p2 and 2 more, which changed",
        ),
        (Decision("a", "macros_changed", "%a 1", "%a 2, is 3"), "the macros of the module differ"),
        (Decision("a", "strategy_all"), "the rebuild strategy is all"),
        (Decision("a", "new_component", "", "x"), "the other build has no such component"),
    ],
)
def test_a_decision_has_a_short_reason(decision: Decision, text: str) -> None:
    assert brief(decision.code, decision.detail) == text


def test_a_reason_of_another_version_is_shown_by_its_code() -> None:
    assert brief("phase_of_the_moon", "was full") == "phase_of_the_moon"
    assert brief("", "") == ""
    assert brief("earlier_changed", "unreadable") == "components that are built before it differ"


def build_of_all_states(**values: Any) -> ModuleBuild:
    """A build with a component in each state; ``done`` took longest of its batch."""
    build = module_build(state=BuildState.BUILD, batch=3, batches=4, **values)

    def add(package: str, batch: int, state: ComponentState | None, seconds: int = 0, **more: Any) -> None:
        times = (
            {"time_started": START, "time_completed": START + timedelta(seconds=seconds)} if seconds else {}
        )
        component_build(build, package=package, batch=batch, state=state, **times, **more)

    add("macros", 1, ComponentState.COMPLETE, 1)
    add(
        "done",
        2,
        ComponentState.COMPLETE,
        50,
        reuse_code="commit_changed",
        reuse_detail=f"was {OLD}, is {NEW}",
    )
    add("quick", 2, ComponentState.COMPLETE, 5)
    add("broken", 2, ComponentState.FAILED, 7)
    add("busy", 3, ComponentState.BUILDING)
    add("late", 4, None, weight=30.0, build_after=["busy"])
    return build


def rows(page: Page) -> list[str]:
    return [values["id"] for tag, values in page.tags if tag == "tr" and "component-" in values.get("id", "")]


def packages(build: ModuleBuild, page: Page) -> list[str]:
    names = {f"component-{row.pk}": row.package for row in build.component_builds.all()}
    return [names[row] for row in rows(page)]


def test_failed_components_come_first_then_those_that_build_wait_and_are_done(client: Client) -> None:
    build = build_of_all_states()
    page = get(client, f"/builds/{build.pk}")
    assert packages(build, page) == ["broken", "busy", "late", "macros", "done", "quick"]
    assert "commit 1bd479f → 42a3ec9" in page.text
    assert "failed 1 building 1 waiting 1 done 3 by batch" in page.text


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("failed", ["broken"]),
        ("waiting", ["late"]),
        ("batches", ["macros", "broken", "done", "quick", "busy", "late"]),
        ("nonsense<script>", ["broken", "busy", "late", "macros", "done", "quick"]),
    ],
)
def test_one_group_is_shown_alone(client: Client, asked: str, shown: list[str]) -> None:
    build = build_of_all_states()
    assert packages(build, get(client, f"/builds/{build.pk}?components={asked}")) == shown


def test_a_build_whose_components_are_all_done_is_shown_by_batch(client: Client) -> None:
    build = module_build(state=BuildState.READY, components=4)
    assert "Batch 2" in get(client, f"/builds/{build.pk}").text


def test_many_components_are_cut_with_a_link_to_the_rest(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(components, "MAX_SHOWN", 2)
    build = build_of_all_states()
    page = get(client, f"/builds/{build.pk}")
    assert "1 more" in page.text
    assert "?components=done#progress" in page.all("a", "href")


def test_a_reused_component_names_the_build_it_is_from(client: Client) -> None:
    old = component_build(module_build(), package="lib", state=ComponentState.COMPLETE)
    build = module_build(state=BuildState.BUILD)
    component_build(
        build, package="lib", state=ComponentState.COMPLETE, reused_component=old, reuse_code="reused"
    )
    assert f"reused from build {old.module_build_id}" in get(client, f"/builds/{build.pk}").text


def test_messages_of_a_component_are_in_its_row_and_not_in_the_log(client: Client) -> None:
    build = build_of_all_states()
    LogMessage.objects.create(component_build=build.component_builds.get(package="late"), message="of late")
    LogMessage.objects.create(module_build=build, message="of the build")
    html = get(client, f"/builds/{build.pk}").html
    table, log = html.partition('id="messages"')[::2]
    assert "of late" in table
    assert "of late" not in log
    assert "of the build" in log


def test_the_drawing_marks_the_critical_path(client: Client) -> None:
    build = build_of_all_states()
    page = get(client, f"/builds/{build.pk}")
    assert "macros → done → busy → late" in page.text
    nodes = [values["class"] for tag, values in page.tags if tag == "rect" and "node" in values["class"]]
    assert sum("critical" in kind for kind in nodes) == 4
    assert len(nodes) == 6
    assert "Batch 4" in page.text


def test_components_that_wait_for_each_other_are_drawn_in_steps() -> None:
    build = module_build(graph=True)
    for package, after in (("a", []), ("b", ["a"]), ("c", ["b", "a"]), ("d", ["gone"])):
        component_build(build, package=package, batch=1, build_after=after, weight=10)
    drawing = graph.draw(build, list(build.component_builds.order_by("pk")), START)
    assert drawing is not None
    columns = {node.row.package: node.x // (graph.WIDTH + graph.ACROSS) for node in drawing.nodes}
    assert columns == {"a": 0, "b": 1, "c": 2, "d": 0}
    assert drawing.packages == ("a", "b", "c")
    assert len(drawing.edges) == 3
    assert drawing.took == "30 s"


def test_a_circle_and_too_many_components_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    build = module_build(graph=True)
    for package, after in (("a", ["b"]), ("b", ["a"])):
        component_build(build, package=package, batch=1, build_after=after)
    rows = list(build.component_builds.order_by("pk"))
    assert graph.draw(build, rows, START) is not None
    monkeypatch.setattr(graph, "MAX_NODES", 1)
    drawing = graph.draw(build, rows, START)
    assert drawing is not None
    assert drawing.nodes == ()
    assert graph.draw(build, [], START) is None


def test_names_of_packages_are_escaped_and_cut(client: Client) -> None:
    build = module_build(state=BuildState.BUILD)
    component_build(build, package="<script>" + "x" * 100)
    assert "<script>x" not in get(client, f"/builds/{build.pk}").html
