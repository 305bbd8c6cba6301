"""Atom feeds of builds."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mbs.states import BuildState
from tests.factories import module_build

pytestmark = pytest.mark.django_db
ATOM = "{http://www.w3.org/2005/Atom}"


def feed(client: Client, **query: str) -> ElementTree.Element:
    answer = client.get("/feeds/builds.atom", query)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("application/atom+xml")
    return ElementTree.fromstring(answer.content)


def texts(entry: ElementTree.Element, tag: str) -> list[str | None]:
    return [each.text for each in entry.iter(f"{ATOM}{tag}")]


def test_a_feed_lists_ended_builds_with_the_reasons_of_failures(client: Client) -> None:
    ready = module_build(state=BuildState.READY)
    failed = module_build(
        state=BuildState.FAILED, state_reason="libfoo failed", error_hint="Correct it.", owner="bob"
    )
    module_build(state=BuildState.BUILD)
    entries = list(feed(client).iter(f"{ATOM}entry"))
    assert [texts(entry, "title") for entry in entries] == [
        [f"{failed.nsvc} failed"],
        [f"{ready.nsvc} ready"],
    ]
    assert texts(entries[0], "summary") == [f"Build {failed.pk} of bob is failed. libfoo failed Correct it."]
    assert entries[0].find(f"{ATOM}link").attrib["href"] == f"http://testserver/builds/{failed.pk}"
    assert texts(entries[0], "name") == ["bob"]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"owner": "bob"}, ["b", "c"]),
        ({"name": "a"}, ["a"]),
        ({"name": "c", "stream": "2"}, ["c"]),
        ({"name": "c", "stream": "1"}, []),
        ({"owner": "\0\ud800".encode("utf-8", "replace").decode()}, []),
    ],
)
def test_feeds_are_of_an_owner_or_a_module(client: Client, query: dict[str, str], shown: list[str]) -> None:
    for name, owner, stream in (("a", "ann", "1"), ("b", "bob", "1"), ("c", "bob", "2")):
        module_build(name=name, owner=owner, stream=stream, state=BuildState.READY)
    titles = texts(feed(client, **query), "title")[1:]
    assert sorted(str(title).partition(":")[0] for title in titles) == shown


def test_a_build_that_ends_again_is_a_new_entry(client: Client) -> None:
    build = module_build(state=BuildState.FAILED)
    (before,) = texts(next(feed(client).iter(f"{ATOM}entry")), "id")
    build.state, build.time_modified = BuildState.READY, build.time_modified.replace(year=2025)
    build.save()
    (after,) = texts(next(feed(client).iter(f"{ATOM}entry")), "id")
    assert before != after


def test_hostile_texts_stay_texts(client: Client) -> None:
    module_build(owner="<b>\x07&", state=BuildState.FAILED, state_reason="]]>\x01<script>")
    entry = next(feed(client, owner="<b>\x07&").iter(f"{ATOM}entry"))
    assert texts(entry, "name") == ["<b>\\x07&"]
    assert "]]>\\x01<script>" in str(texts(entry, "summary")[0])


def test_a_feed_is_bounded_and_takes_one_statement(client: Client) -> None:
    for _ in range(60):
        module_build(state=BuildState.READY)
    with CaptureQueriesContext(connection) as queries:
        assert len(list(feed(client).iter(f"{ATOM}entry"))) == 50
    assert len(queries) == 1
    assert client.post("/feeds/builds.atom").status_code == 405
