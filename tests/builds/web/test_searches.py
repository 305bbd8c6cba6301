"""Saved searches."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.test import Client, RequestFactory

from builds.models import SavedSearch
from builds.services import saved_searches
from builds.web import context
from mbs.states import BuildState
from tests.builds.web.browser import BROWSER, Page, get
from tests.factories import module_build

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(client: Client) -> Client:
    """The browser of Ann, who is logged in."""
    client.force_login(User.objects.create_user("ann"))
    return client


def save(client: Client, name: str = "broken", query: str = "state=failed&name=perl") -> Any:
    return client.post("/searches", {"name": name, "query": query}, headers=BROWSER)


def names() -> list[str]:
    return list(SavedSearch.objects.order_by("owner", "name").values_list("name", flat=True))


def test_a_search_is_saved_from_the_list_and_shown_there(ann: Client) -> None:
    module_build(name="perl", state=BuildState.FAILED)
    page = get(ann, "/?state=failed&name=perl&before=100")
    (query,) = [tag["value"] for name, tag in page.tags if name == "input" and tag.get("name") == "query"]
    assert save(ann, query=query)["Location"] == "/?name=perl&state=failed"
    page = get(ann, "/")
    assert "/?name=perl&state=failed" in page.all("a", "href")
    assert "@broken" in page.all("option", "value")
    assert get(ann, "/?state=failed&name=perl").all("a", "aria-current").count("page") == 2


def test_the_search_box_opens_a_saved_search(ann: Client) -> None:
    save(ann)
    assert ann.get("/search?q=@broken", headers=BROWSER)["Location"] == "/?name=perl&state=failed"
    assert "No build has this id" in get(ann, "/search?q=@other").text
    assert "broken" in get(ann, "/search").text


def test_own_builds_can_be_part_of_a_search(ann: Client) -> None:
    assert save(ann, query="mine=1&state=active")["Location"] == "/?mine=1&state=active"
    get(ann, "/?mine=1&state=active")


def test_a_search_with_the_same_name_is_replaced(ann: Client) -> None:
    save(ann)
    save(ann, query="state=ready")
    assert SavedSearch.objects.get().query == "state=ready"


def test_a_search_is_deleted(ann: Client) -> None:
    save(ann)
    page = get(ann, "/searches")
    (number,) = page.all("button", "value")
    assert ann.post("/searches", {"delete": number}, headers=BROWSER)["Location"] == "/searches"
    assert names() == []
    assert "You have no saved searches." in get(ann, "/searches").text


def test_searches_belong_to_their_user(ann: Client) -> None:
    save(ann)
    bob = Client()
    bob.force_login(User.objects.create_user("bob"))
    assert "broken" not in get(bob, "/").text
    assert "broken" not in get(bob, "/searches").text
    number = SavedSearch.objects.get().pk
    assert bob.post("/searches", {"delete": number}, headers=BROWSER).status_code == 404
    assert bob.get("/search?q=@broken", headers=BROWSER).status_code == 200
    save(bob, query="state=ready")
    assert names() == ["broken", "broken"]


def test_anonymous_users_have_no_saved_searches(client: Client) -> None:
    save(client)
    assert names() == []
    assert client.get("/searches", headers=BROWSER)["Location"] == "/login?next=%2Fsearches"
    page = get(client, "/?state=failed")
    assert "Save" not in page.text
    assert "csrftoken" not in client.cookies


def test_a_form_of_another_site_is_refused(ann: Client) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.cookies = ann.cookies
    assert save(careful).status_code == 403
    assert names() == []


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("", "state=failed"),
        ("  ", "state=failed"),
        ("x" * 61, "state=failed"),
        ("a\nb", "state=failed"),
        ("a\0b", "state=failed"),
        ("a", ""),
        ("a", "before=7"),
        ("a", "name=" + "x" * 1000),
        ("a", "name=" + "ä" * 300),
        ("a", "nonsense=1"),
        ("a", "modulemd=x"),
    ],
)
def test_nonsense_is_not_saved(ann: Client, name: str, query: str) -> None:
    answer = save(ann, name, query)
    assert answer.status_code == 400
    assert names() == []


@pytest.mark.parametrize("number", ["", "x", "-1", "9" * 30, "7"])
def test_nonsense_is_not_deleted(ann: Client, number: str) -> None:
    assert ann.post("/searches", {"delete": number}, headers=BROWSER).status_code in (400, 404)


def test_the_number_of_searches_is_limited(ann: Client) -> None:
    for number in range(saved_searches.MAX_NUMBER):
        assert save(ann, f"search {number}").status_code == 302
    answer = save(ann, "one more")
    assert answer.status_code == 409
    assert "Delete one of them first." in Page(answer.content.decode()).text
    assert len(names()) == saved_searches.MAX_NUMBER
    assert save(ann, "search 3", "state=ready").status_code == 302


def test_names_are_shown_as_text(ann: Client) -> None:
    save(ann, '"><script>alert(1)</script>', "name=%22%3E%3Cscript%3E")
    for path in ("/", "/?name=x", "/searches", "/search"):
        assert "<script>alert" not in get(ann, path).html


def test_other_methods_are_refused(ann: Client) -> None:
    assert ann.put("/searches", headers=BROWSER).status_code == 405


def test_a_page_without_a_database_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(owner: str) -> None:
        raise DatabaseError("the connection is closed")

    monkeypatch.setattr(saved_searches, "of", away)
    assert list(context.page(RequestFactory().get("/"))["saved_searches"]) == []
