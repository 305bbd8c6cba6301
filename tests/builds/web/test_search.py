"""Search, filters in addresses, and the pages of modules and streams."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from builds.models import BuildRequirement, ModuleBuild
from builds.selectors import search
from mbs.states import BuildState
from tests.builds.web.browser import BROWSER, get
from tests.factories import START, component_build, module_build

pytestmark = pytest.mark.django_db
COMMIT = "1bd479f" + "0" * 33


def shown(client: Client, path: str) -> set[str]:
    """The numbers of the builds in the list of a page."""
    return {value for value in get(client, path).all("input", "value") if value.isdigit()}


@pytest.mark.parametrize(
    "text",
    [
        "perl",
        "per",
        "perl:5.3",
        "perl-DBI",
        "perl-DB",
        "perl-DBI-1-1",
        "perl-DBI-1-1.src.rpm",
        COMMIT,
        "1bd479f",
    ],
)
def test_builds_are_found_by_what_people_have_at_hand(client: Client, text: str) -> None:
    build = module_build(name="perl", stream="5.30", commit=COMMIT)
    module_build(name="perl", stream="5.32")
    component_build(build, package="perl-DBI", nvr="perl-DBI-1-1", ref=COMMIT)
    module_build(name="other")
    page = get(client, f"/search?q={text}")
    assert f"/builds/{build.pk}" in page.all("a", "href")
    assert "other" not in page.text


def test_an_owner_is_found_with_a_link_to_all_their_builds(client: Client) -> None:
    module_build(owner="zoe")
    assert "/?owner=zoe" in get(client, "/search?q=zoe").all("a", "href")


def test_the_number_and_the_full_name_of_a_build_lead_to_it(client: Client) -> None:
    build = module_build()
    for text in (str(build.pk), build.nsvc):
        response = client.get("/search", {"q": f" {text} "}, headers=BROWSER)
        assert response["Location"] == f"/builds/{build.pk}"


def test_the_full_name_of_a_stream_leads_to_it(client: Client) -> None:
    module_build(name="perl", stream="5.30")
    assert client.get("/search?q=perl:5.30", headers=BROWSER)["Location"] == "/modules/perl/5.30"


def test_a_search_without_hits_lists_the_values_that_can_be_searched_for(client: Client) -> None:
    for text in ("nothing", "%25", "a:b:c:d:e", "9" * 30, "%00", "_", "\\", ""):
        assert "Search for the id of a build" in get(client, f"/search?q={text}").text


def test_wildcards_of_the_database_mean_themselves(client: Client) -> None:
    module_build(name="a_b")
    module_build(name="axb")
    assert "axb" not in get(client, "/search?q=a_").text


def test_the_search_text_is_escaped(client: Client) -> None:
    assert "<script>" not in get(client, "/search?q=<script>").html


def test_a_search_takes_a_bounded_number_of_statements(client: Client) -> None:
    for _ in range(30):
        component_build(module_build(name="perl"), package="perl")
    with CaptureQueriesContext(connection) as queries:
        page = get(client, "/search?q=perl")
    assert len(queries) <= 8
    assert page.text.count("perl:1") <= 2 * search.MAX_SHOWN


def test_each_name_is_found_once_in_order_whatever_it_holds() -> None:
    for name in ("ab", "a_b", "a_c", "a%c", "a\\c", "a_b", "b"):
        module_build(name=name)
    assert search.names_from(ModuleBuild, "name", "a_") == ["a_b", "a_c"]
    assert search.names_from(ModuleBuild, "name", "a%") == ["a%c"]
    assert search.names_from(ModuleBuild, "name", "a\\") == ["a\\c"]
    assert search.names_from(ModuleBuild, "name", "a", 2) == ["a%c", "a\\c"]
    assert search.names_from(ModuleBuild, "name", "c") == []


def test_beginnings_of_commits_are_found_whatever_their_last_digit_is() -> None:
    for digit in "0123456789abcdef":
        beginning = f"abcdef{digit}"
        build = module_build(commit=beginning + "7" * 33)
        assert ModuleBuild.objects.get(search.commits("commit", beginning)) == build


@pytest.mark.parametrize(
    "query",
    [
        "name=perl",
        "match=pe*",
        "match=pe?l:5.*",
        "component=perl-DBI",
        "commit=1bd479f",
        "nsvc=perl:5.30",
        "scratch=true",
    ],
)
def test_the_filters_of_the_api_narrow_the_list(client: Client, query: str) -> None:
    build = module_build(name="perl", stream="5.30", commit=COMMIT, scratch=True)
    component_build(build, package="perl-DBI")
    module_build(name="other")
    assert shown(client, f"/?{query}") == {str(build.pk)}
    assert {
        row["id"] for row in client.get(f"/module-build-service/2/module-builds/?{query}").json()["items"]
    } == {build.pk}


@pytest.mark.parametrize(
    "query",
    ["match=*", "match=*perl", "match=a**b**c*", "match=a:b:c:d", "match=[a]", "commit=xyz", "page=2"],
)
def test_a_filter_that_cannot_be_applied_is_refused(client: Client, query: str) -> None:
    assert "400 Bad Request" in get(client, f"/?{query}", status=400).text


def test_each_filter_has_a_link_that_takes_it_away(client: Client) -> None:
    module_build(name="perl", owner="ann")
    page = get(client, "/?name=perl&owner=ann&state=active")
    assert {"/?owner=ann&state=active", "/?name=perl&state=active"} <= set(page.all("a", "href"))


def test_mine_shows_the_builds_of_the_account_that_is_logged_in(client: Client) -> None:
    mine = module_build(owner="zoe")
    module_build(owner="ann")
    assert "401 Unauthorized" in get(client, "/?mine=1", status=401).text
    client.force_login(User.objects.create_user("zoe"))
    assert shown(client, "/?mine=1") == {str(mine.pk)}


def test_the_page_of_a_stream_shows_its_builds_and_durations(client: Client) -> None:
    failed = module_build(name="perl", stream="5.30", state=BuildState.FAILED, state_reason="it broke")
    ready = module_build(
        name="perl",
        stream="5.30",
        state=BuildState.READY,
        time_submitted=START,
        time_completed=START + timedelta(seconds=90),
    )
    user = module_build(name="user", requires=ready)
    module_build(name="stranger")
    page = get(client, "/modules/perl/5.30")
    assert "it broke" in page.text
    assert "Failed: 1 of the last 2 (50 %)" in page.text
    assert "took 1 min 30 s" in page.text
    assert {f"/builds/{each.pk}" for each in (failed, ready, user)} <= set(page.all("a", "href"))
    assert "/modules/user/1" in page.all("a", "href")
    assert "stranger" not in page.text
    assert len(page.all("rect", "x")) == 2


def test_the_median_of_two_builds_is_that_of_the_faster_one(client: Client) -> None:
    for seconds in (90, 200):
        module_build(
            name="perl",
            stream="5.30",
            state=BuildState.READY,
            time_submitted=START,
            time_completed=START + timedelta(seconds=seconds),
        )
    text = get(client, "/modules/perl/5.30").text
    assert "the longest took 3 min 20 s, half of the ready ones took at most 1 min 30 s" in text


def test_a_stream_without_builds_is_not_found(client: Client) -> None:
    module_build(name="perl", stream="5.30")
    get(client, "/modules/perl/9", status=404)
    get(client, "/modules/nothing", status=404)
    assert "/modules/perl/5.30" in get(client, "/modules/perl").all("a", "href")


def test_the_page_of_a_stream_takes_as_many_statements_with_more_builds(client: Client) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            get(client, "/modules/perl/1")
        return len(queries)

    base = [module_build(name="perl", state=BuildState.READY) for _ in range(8)]
    module_build(name="user", requires=base[0])
    few = statements()
    for _ in range(20):
        build = module_build(name="perl", state=BuildState.READY, components=2)
        BuildRequirement.objects.create(module_build=module_build(name="user2"), required=build)
    assert statements() == few
