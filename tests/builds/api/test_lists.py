"""Filters, order and pages of lists."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builds.api.filtersets import ComponentBuildFilterSet, ModuleBuildFilterSet
from builds.models import BuildRequirement, ModuleBuild
from builds.selectors import listing
from mbs.states import BuildState, ComponentState
from tests.builds.rest import Api
from tests.factories import base_module, component_build, module_build, wait

pytestmark = pytest.mark.django_db


def names(api: Api, query: str) -> list[str]:
    """Names of the builds in a list, in its order."""
    return [item["name"] for item in api.get(f"module-builds/?short=1&{query}")["items"]]


def packages(api: Api, query: str) -> list[str]:
    return [item["package"] for item in api.get(f"component-builds/?{query}")["items"]]


@pytest.fixture
def alphabet(api: Api) -> dict[str, ModuleBuild]:
    """Four builds on two base modules, which are in the lists too."""
    f30 = base_module("f30", version="3", virtual_streams=("fedora",), stream_version=300000.0)
    el8 = base_module("el8.1", version="4", virtual_streams=("el8", "fedora"), stream_version=80100.0)
    built = {
        "a": module_build(
            name="a",
            version="9",
            owner="ann",
            requires=f30,
            state=BuildState.READY,
            koji_tag="module-a",
            batch=3,
            time_submitted=datetime(2024, 5, 1, 12, 0, 0, 500_000, tzinfo=UTC),
            srpms=["cli-build/1/a.src.rpm"],
        ),
        "b": module_build(name="b", version="10", owner="bob", requires=f30, state=BuildState.BUILD),
        "c": module_build(
            name="c",
            version="100",
            owner="bob",
            requires=el8,
            state=BuildState.FAILED,
            state_reason="it broke",
        ),
        "d": module_build(
            name="d", version="11", scratch=True, state=BuildState.DONE, build_context="f" * 40
        ),
    }
    built["d"].reuse_components_from = built["a"]
    built["d"].save()
    return built | {"f30": f30, "el8": el8}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=a", "a"),
        ("owner=bob", "cb"),
        ("owner=bob&state=build", "b"),
        ("state=ready&name=a", "a"),
        ("state=2&state=failed", "cb"),
        ("scratch=true", "d"),
        ("scratch=0&owner=bob", "cb"),
        ("version=10", "b"),
        ("koji_tag=module-a", "a"),
        ("batch=3", "a"),
        ("state_reason=it broke", "c"),
        (f"build_context={'f' * 40}", "d"),
        ('srpms=["cli-build/1/a.src.rpm"]', "a"),
        ("modulemd=nothing like it", ""),
        ("nsvc=a", "a"),
        ("nsvc=a:1:9", "a"),
        ("nsvc=a:2", ""),
        ("submitted_after=2024-05-01T12:00:00Z", "a"),
        ("submitted_after=2024-05-01T12:00:01Z", ""),
        ("submitted_before=2024-05-01T12:00:00Z&name=a", "a"),
        ("submitted_before=2024-05-01T11:59:59Z&name=a", ""),
        ("submitted_before=9999-12-31T23:59:59Z&name=a", "a"),
        ("completed_before=9999-12-31T23:59:59Z&base_module_br_name=platform", ""),
        ("completed_after=2024-01-01T00:00:00.5%2B00:00", ""),
        ("base_module_br=platform:f30:3:00000000", "ba"),
        ("base_module_br_name=platform", "cba"),
        ("base_module_br_stream=el8.1", "c"),
        ("base_module_br_stream=el8.1&base_module_br_version=3", ""),
        ("base_module_br_context=00000000&owner=ann", "a"),
        ("base_module_br_stream_version=300000", "ba"),
        ("base_module_br_stream_version_lte=100000", "c"),
        ("base_module_br_stream_version_gte=100000", "ba"),
        ("owner=nobody", ""),
    ],
)
def test_module_builds_are_filtered(
    api: Api, alphabet: dict[str, ModuleBuild], query: str, found: str
) -> None:
    assert "".join(names(api, query)) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("virtual_stream=fedora", ["el8.1", "f30"]),
        ("virtual_stream=el8", ["el8.1"]),
        ("virtual_stream=el8&virtual_stream=fedora", ["el8.1", "f30"]),
        ("stream_version_lte=89999", ["el8.1"]),
        ("stream_version_lte=80000", []),
        ("stream_version_lte=300000", ["f30"]),
        ("stream_version=300000", ["f30"]),
    ],
)
def test_base_modules_are_filtered(
    api: Api, alphabet: dict[str, ModuleBuild], query: str, found: list[str]
) -> None:
    items = api.get(f"module-builds/?{query}")["items"]
    assert [item["stream"] for item in items] == found


def test_only_base_modules_are_found_by_the_filters_of_base_modules(api: Api) -> None:
    perl = module_build(name="perl", stream="5.30")
    module_build(name="a", requires=perl)
    platform = base_module("f43")
    b = module_build(name="b", requires=platform)
    BuildRequirement.objects.create(module_build=b, required=perl)
    assert names(api, "base_module_br_name=perl") == []
    assert names(api, "base_module_br_stream=5.30") == []
    assert names(api, f"base_module_br={platform.nsvc}") == ["b"]
    (item,) = api.get("module-builds/?name=b&verbose=1")["items"]
    assert [each["name"] for each in item["base_module_buildrequires"]] == ["platform"]


def test_module_builds_are_filtered_by_what_they_reuse(api: Api, alphabet: dict[str, ModuleBuild]) -> None:
    assert names(api, f"reuse_components_from={alphabet['a'].pk}") == ["d"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=a&name=b", "a"),
        ("name=&name=b", "b"),
        ("owner=bob&state=&stream=", "cb"),
        ("owner=bob&state=&state=build", "b"),
        ("owner=bob&order_by=&order_desc_by=name&page=&per_page=", "cb"),
        ("order_by=name&owner=bob", "bc"),
        ("order_desc_by=name&owner=bob", "cb"),
        ("order_by=version&order_by=name&base_module_br_name=platform", "abc"),
        ("order_by=owner&order_by=id&base_module_br_name=platform", "abc"),
        ("order_desc_by=owner&order_desc_by=version&base_module_br_name=platform", "cba"),
        ("order_by=id&base_module_br_name=platform", "abc"),
    ],
)
def test_module_builds_are_ordered(
    api: Api, alphabet: dict[str, ModuleBuild], query: str, found: str
) -> None:
    assert "".join(names(api, query)) == found


@pytest.fixture
def components(api: Api) -> ModuleBuild:
    build = module_build()
    component_build(
        build, package="bash", state=ComponentState.COMPLETE, task_id=5, tagged=True, nvr="bash-1-1"
    )
    component_build(build, package="make", state=ComponentState.FAILED, ref="f" * 40, batch=3, buildonly=True)
    component_build(build, package="gcc", build_time_only=True, weight=1.5)
    component_build(module_build(), package="other")
    return build


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("package=bash", ["bash"]),
        ("module_id={}", ["gcc", "make", "bash"]),
        ("module_build={}&order_by=package", ["bash", "gcc", "make"]),
        ("state=1&state=failed", ["make", "bash"]),
        ("state=COMPLETE", ["bash"]),
        ("tagged=true", ["bash"]),
        ("build_time_only=1", ["gcc"]),
        ("tagged=0&module_id={}", ["gcc", "make"]),
        ("task_id=5", ["bash"]),
        ("nvr=bash-1-1", ["bash"]),
        (f"ref={'f' * 40}", ["make"]),
        ("batch=3", ["make"]),
        ("buildonly=true", ["make"]),
        ("module_id={}&order_by=buildonly&order_by=package", ["bash", "gcc", "make"]),
        ("weight=1.5", ["gcc"]),
        ("format=rpms&module_id={}&order_by=batch&order_by=id", ["bash", "gcc", "make"]),
    ],
)
def test_component_builds_are_filtered_and_ordered(
    api: Api, components: ModuleBuild, query: str, found: list[str]
) -> None:
    assert packages(api, query.format(components.pk)) == found


@pytest.mark.parametrize("path", ["module-builds", "component-builds"])
@pytest.mark.parametrize(
    "query",
    [
        *("state=nonsense", "state=99", "state=-1"),
        *("batch=x", "batch=-1", "batch=1.5", "batch=99999999999999999999"),
        *("order_by=colour", "order_by=id&order_desc_by=id", "id=3"),
        *("state_reason=%00", "state_reason=%ed%a0%80", "scmurl=%ff"),
        *("state=%20", "batch=+", "state_reason=%20%20", "page=%C2%A0", "order_by=%09", "verbose=%20"),
    ],
)
def test_a_bad_parameter_is_named(api: Api, path: str, query: str) -> None:
    assert query.partition("=")[0] in api.get(f"{path}/?{query}", status=400)["message"]


@pytest.mark.parametrize(
    "query",
    [
        *(
            "nsvc=a:b:c:d:e",
            "nsvc=a::c",
            "base_module_br=a:b",
            "base_module_br=a:b:c:d",
            "srpms={}",
            "srpms=x",
            "srpms=null",
            "nsvc=%20",
            "scratch=%20",
            "completed_before=%20",
            "base_module_br_name=%20",
            "virtual_stream=%20&virtual_stream=el8",
        ),
        *("stream_version_lte=9999", "stream_version_lte=nan", "stream_version=inf", "stream_version=x"),
        *("submitted_after=yesterday", "submitted_before=2024-13-01T00:00:00Z", "scratch=maybe"),
        *("completed_after=2024-01-01T00:00:00%2B02:00", "new_repo_task_id=x"),
        *("base_module_br_stream_version_lte=x", "reuse_components_from=a:b"),
    ],
)
def test_a_bad_filter_of_module_builds_is_named(api: Api, query: str) -> None:
    assert query.partition("=")[0] in api.get(f"module-builds/?{query}", status=400)["message"]


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=1.5", "page=%D9%A1", "page=1&page=2"])
def test_a_page_that_is_no_number_from_1_is_the_first(api: Api, query: str) -> None:
    module_build(name="a")
    answer = api.get(f"module-builds/?{query}")
    assert (answer["meta"]["page"], len(answer["items"])) == (1, 1)


@pytest.mark.parametrize("query", ["per_page=-3", "per_page=x", "per_page=1.5"])
def test_a_page_length_that_is_no_number_is_the_default(api: Api, query: str) -> None:
    assert api.get(f"module-builds/?{query}")["meta"]["per_page"] == 10


def test_a_page_length_of_0_answers_the_meta_alone(api: Api) -> None:
    module_build()
    answer = api.get("module-builds/?per_page=0")
    assert answer["items"] == []
    assert (answer["meta"]["total"], answer["meta"]["pages"], answer["meta"]["next"]) == (1, 0, None)


@pytest.mark.parametrize(
    ("query", "verbose"),
    [
        *(("verbose=TRUE", True), ("verbose=1", True), ("verbose=true&verbose=0", True)),
        *(("verbose=yes", False), ("verbose=0", False), ("verbose=", False), ("short=perhaps", False)),
    ],
)
def test_only_true_and_1_mean_yes(api: Api, query: str, verbose: bool) -> None:
    module_build()
    (item,) = api.get(f"module-builds/?{query}")["items"]
    assert ("state_trace" in item, "tasks" in item) == (verbose, True)


def test_unknown_parameters_are_refused_when_a_client_asks_for_it(api: Api) -> None:
    error = api.get("module-builds/?strict=1&ownr=ann&colour=", status=400)
    assert error["code"] == "unknown_parameter"
    assert "'ownr'" in error["message"]
    assert "'colour'" in error["message"]
    assert "Did you mean 'owner'?" in error["hint"]
    assert api.get("module-builds/?strict=1&owner=ann")["items"] == []


def test_only_koji_searches_by_rpm(api: Api) -> None:
    assert api.get("module-builds/?rpm=bash-1-1", status=501)["code"] == "no_rpm_search"


def test_unknown_parameters_are_ignored_with_a_warning(api: Api) -> None:
    module_build(name="a")
    response = api.client.get("/module-build-service/2/module-builds/?colour=red&name=a&s%C3%B6=1%0A")
    assert api.check(response, 200)["meta"]["total"] == 1
    assert response["Warning"] == '299 - "Ignored unknown query parameters: colour, s%C3%B6"'
    assert "Warning" not in api.client.get("/module-build-service/2/module-builds/?name=a&page=1&verbose=1")


def test_an_id_on_a_list_points_to_the_item(api: Api) -> None:
    assert "/module-build-service/2/module-builds/3" in api.get("module-builds/?id=3", status=400)["hint"]


def test_pages_are_walked_by_their_links(api: Api) -> None:
    for name in "abcde":
        module_build(name=name, owner="ann")
    module_build(owner="bob")
    url = "module-builds/?owner=ann&verbose=true&verbose=True&per_page=2&state=init"
    seen: list[str] = []
    while url:
        page = api.get(url.removeprefix("http://testserver/module-build-service/2/"))
        seen += [item["name"] for item in page["items"]]
        url = page["meta"]["next"] or ""
    assert "".join(seen) == "edcba"
    assert (page["meta"]["page"], page["meta"]["pages"], page["meta"]["total"]) == (3, 3, 5)
    kept = parse_qs(urlsplit(page["meta"]["prev"]).query)
    assert kept["verbose"] == ["true"]
    assert (kept["page"], kept["owner"]) == (["2"], ["ann"])
    assert page["meta"]["first"].startswith("http://testserver/module-build-service/2/module-builds/?")
    assert parse_qs(urlsplit(page["meta"]["last"]).query)["page"] == ["3"]


@pytest.mark.parametrize("page", ["7", "99999999999999999999999999"])
def test_a_page_past_the_end_is_empty(api: Api, page: str) -> None:
    module_build()
    answer = api.get(f"module-builds/?page={page}")
    assert answer["items"] == []
    assert answer["meta"]["next"] is None
    assert answer["meta"]["total"] == 1


def test_an_empty_list_has_a_first_page(api: Api) -> None:
    meta = api.get("module-builds/")["meta"]
    assert (meta["pages"], meta["total"], meta["prev"], meta["next"]) == (0, 0, None, None)
    assert "page=1&" in meta["first"]
    assert meta["first"] == meta["last"]


def test_a_large_page_is_cut_to_the_bound(api: Api, option: Callable[..., None]) -> None:
    option(PER_PAGE_MAX=3)
    for _ in range(4):
        module_build()
    answer = api.get("module-builds/?per_page=1000000")
    assert (len(answer["items"]), answer["meta"]["per_page"]) == (3, 3)


@pytest.mark.parametrize("order", ["", "order_by=id&", "order_desc_by=name&"])
def test_the_total_is_right_as_soon_as_there_is_a_new_build(api: Api, order: str) -> None:
    for number in range(1, 4):
        module_build()
        assert api.get(f"module-builds/?{order}per_page=1")["meta"]["total"] == number


def test_a_deleted_build_is_counted_on_the_first_page_until_its_total_expires(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    oldest, *_ = module_build(), module_build(), module_build()
    monkeypatch.setattr(listing, "RECENT", float("inf"))
    totals = [api.get("module-builds/?per_page=1")["meta"]["total"]]
    oldest.delete()
    totals += [api.get(f"module-builds/?per_page=1&page={page}")["meta"]["total"] for page in (1, 2)]
    monkeypatch.setattr(listing, "RECENT", -1.0)
    totals.append(api.get("module-builds/?per_page=1")["meta"]["total"])
    assert totals == [3, 3, 2, 2]


@pytest.mark.parametrize(
    ("query", "most"),
    [
        ("module-builds/?", 6),
        ("module-builds/?verbose=1&", 10),
        ("module-builds/?short=1&", 3),
        ("module-builds/?state=build&name=quiet&base_module_br_name=platform&", 6),
        ("component-builds/?", 6),
        ("component-builds/?verbose=1&", 10),
    ],
)
def test_the_number_of_statements_does_not_grow_with_the_page(api: Api, query: str, most: int) -> None:
    platform = base_module()
    for _ in range(8):
        build = module_build(components=5, requires=platform, state=BuildState.BUILD)
        wait(build)
        wait(build, component_build=build.component_builds.first())
    counts = []
    for per_page in (1, 8):
        with CaptureQueriesContext(
            connection,
        ) as statements:
            assert len(api.get(f"{query}per_page={per_page}")["items"]) == per_page
        counts.append(len(statements))
    assert counts[1] <= counts[0] <= most


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_the_data_of_an_answer_is_released_once_it_is_rendered(api: Api, accept: str) -> None:
    module_build(name="shown", components=3)
    answer = api.client.get("/module-build-service/2/module-builds/", headers={"Accept": accept})
    assert b"shown" in answer.content
    # Otherwise it would stay in memory until the garbage collector runs.
    assert answer.data is None


def test_lists_do_not_read_documents_that_they_do_not_show(api: Api) -> None:
    module_build()
    with CaptureQueriesContext(connection) as statements:
        api.get("module-builds/")
    assert not any('"modulemd"' in statement["sql"] for statement in statements)


NAMES = sorted(
    {*ModuleBuildFilterSet.names(), *ComponentBuildFilterSet.names(), "page", "per_page", "order_by"}
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(["module-builds/", "component-builds/"]),
    query=st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.one_of(
                st.text(max_size=20),
                st.binary(max_size=5),
                st.integers().map(str),
                st.floats().map(str),
                st.sampled_from(["a:b:c:d", "2024-01-01T00:00:00Z", "[]", "true", "ready", "\0", "9" * 5000]),
            ),
        ),
        max_size=4,
    ),
)
def test_no_query_is_answered_with_a_fault(api: Api, path: str, query: list[tuple[str, str | bytes]]) -> None:
    text = "&".join(f"{name}={quote(value)}" for name, value in query)
    response = api.client.get(f"/module-build-service/2/{path}?{text}")
    assert response.status_code in (200, 400, 501), text
    if response.status_code == 400:
        assert any(name in response.json()["message"] for name, _ in query)
