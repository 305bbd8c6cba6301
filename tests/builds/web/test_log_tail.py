"""The stream of new lines of a log while a build writes it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from builds.api.serving import waiting
from builds.models import ComponentBuild
from builds.services.logs.lines import WINDOW
from builds.web import log_tail
from builds.web.log_tail import LogTails
from buildsys.base import BuildSystemError, BuildSystemUnavailable
from mbs.states import ComponentState
from tests.builds.api.events.watching import Watcher, in_database, watching
from tests.builds.api.events.watching import django as django_application
from tests.builds.web.component_logs import address, end, row

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def component(log: Path) -> ComponentBuild:
    log.write_bytes(b"one\ntwo\n")
    return row(state=ComponentState.BUILDING)


def events_of(component: ComponentBuild) -> str:
    return address(component, "/events")


def run(component: ComponentBuild, test: Callable[[LogTails], Any]) -> None:
    asyncio.run(test(LogTails(django_application, interval=0.05, heartbeat=0.1)))


def told(watcher: Watcher) -> str:
    """The text of all lines, with their tags."""
    return "".join(
        data["more"] + data["groups"]
        for event in watcher.events
        if event["event"] == "lines"
        for data in [json.loads(event["data"])]
    )


BEGINNING = "name=build.log&task=7&from=0&line=1"


def test_a_watcher_gets_lines_as_they_are_written_and_the_end(component: ComponentBuild, log: Path) -> None:
    async def test(tails: LogTails) -> None:
        async with watching(tails, events_of(component), BEGINNING) as watcher:
            await watcher.until(lambda: "two" in told(watcher))
            with log.open("ab") as file:
                file.write(b"<three>\nhalf")
            await watcher.until(lambda: "&lt;three&gt;" in told(watcher))
            assert "half" not in told(watcher)
            with log.open("ab") as file:
                file.write(b" and half\nExecuting(%build): /bin/sh\n")
            end(log)
            await watcher.until(lambda: watcher.ended)
        assert watcher.headers[b"content-type"].startswith(b"text/event-stream")
        text = told(watcher)
        for number, line in enumerate(("one", "two", "&lt;three&gt;", "half and half", "Executing"), 1):
            assert (
                f'id="L{number}"><a href="{address(component)}?name=build.log&amp;line={number}#L{number}">'
                in text
            )
            assert f"{number}</a>{line}" in text
        assert "<summary><b>%build</b></summary>" in text
        assert watcher.names[-1] == "end"

    run(component, test)


def test_links_of_lines_are_below_the_prefix_that_a_front_names(component: ComponentBuild) -> None:
    async def test(tails: LogTails) -> None:
        async with watching(tails, events_of(component), BEGINNING, prefix="/mbs") as watcher:
            await watcher.until(lambda: "two" in told(watcher))
        assert f'href="/mbs{address(component)}?name=build.log&amp;line=2#L2"' in told(watcher)

    run(component, test)


def test_a_watcher_that_comes_back_gets_what_follows_the_last_event(
    component: ComponentBuild, log: Path
) -> None:
    async def test(tails: LogTails) -> None:
        async with watching(tails, events_of(component), BEGINNING, last_event_id="7-4-2") as watcher:
            await watcher.until(lambda: "two" in told(watcher))
        assert "one" not in told(watcher)
        assert 'id="L2"' in told(watcher)
        assert watcher.events[-1]["id"] == "7-8-3"

    run(component, test)


def test_watchers_at_the_same_place_share_what_is_read(component: ComponentBuild, log: Path) -> None:
    async def test(tails: LogTails) -> None:
        async with (
            watching(tails, events_of(component), "name=build.log&task=7&from=8&line=3") as first,
            watching(tails, events_of(component), "name=build.log&task=7&from=8&line=3") as second,
            watching(tails, events_of(component), "name=build.log&task=7&from=8&line=3") as third,
        ):
            await third.until(lambda: first.text.count("still here") >= 3)
            before = tails.reads
            await third.until(lambda: first.text.count("still here") >= 6)
            assert second.text
            assert tails.reads - before < 3 * 6

    run(component, test)


def test_a_watcher_does_not_wait_for_the_turn_of_another_client(component: ComponentBuild) -> None:
    eve, ended = {"client": ("192.0.2.2", 1)}, threading.Event()

    async def test(tails: LogTails) -> None:
        theirs = [asyncio.ensure_future(waiting.run(eve, ended.wait, 120)) for _ in range(20)]
        try:
            async with watching(tails, events_of(component), BEGINNING, client="192.0.2.2") as waits:
                try:
                    await waits.until(lambda: "retry" in waits.text)
                    async with watching(
                        tails, events_of(component), BEGINNING, client="192.0.2.1"
                    ) as watcher:
                        await watcher.until(lambda: "two" in told(watcher))
                    assert not waits.events
                finally:
                    ended.set()
        finally:
            ended.set()
            await asyncio.gather(*theirs)

    run(component, test)


def test_a_watcher_that_is_far_behind_skips_lines(component: ComponentBuild, log: Path) -> None:
    log.write_bytes(b"filling filling\n" * WINDOW)

    async def test(tails: LogTails) -> None:
        async with watching(tails, events_of(component), BEGINNING) as watcher:
            await watcher.until(lambda: "lines" in watcher.names)
        assert watcher.names[0] == "skipped"
        assert len(watcher.text) < 20 * WINDOW

    run(component, test)


def test_a_watcher_learns_that_the_component_is_built_again(
    component: ComponentBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tail, "_CHECK", 1)

    async def test(tails: LogTails) -> None:
        async with watching(tails, events_of(component), BEGINNING) as watcher:
            await watcher.until(lambda: "lines" in watcher.names)
            await in_database(lambda: ComponentBuild.objects.filter(pk=component.pk).update(task_id=8))
            await watcher.until(lambda: watcher.ended)
        assert watcher.names[-1] == "replaced"

    run(component, test)


def test_an_outage_of_the_build_system_does_not_end_the_stream(
    component: ComponentBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, away = log_tail.news, [True]

    def news(place: log_tail.Place) -> log_tail.News:
        if away:
            raise BuildSystemUnavailable("The hub is away.")
        return known(place)

    monkeypatch.setattr(log_tail, "news", news)

    async def test(tails: LogTails) -> None:
        async with watching(tails, events_of(component), BEGINNING) as watcher:
            await watcher.until(lambda: "still here" in watcher.text)
            away.clear()
            await watcher.until(lambda: "lines" in watcher.names)

    run(component, test)


def test_a_build_system_that_refuses_ends_the_stream(
    component: ComponentBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    def news(place: log_tail.Place) -> log_tail.News:
        raise BuildSystemError("The file server serves no byte ranges.")

    monkeypatch.setattr(log_tail, "news", news)

    async def test(tails: LogTails) -> None:
        async with watching(tails, events_of(component), BEGINNING) as watcher:
            await watcher.until(lambda: watcher.ended)
        assert watcher.names == ["end"]

    run(component, test)


def test_watchers_that_come_at_the_same_moment_are_counted(
    component: ComponentBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tail, "_WATCHERS", 1)

    async def test(tails: LogTails) -> None:
        async with (
            watching(tails, events_of(component), BEGINNING) as first,
            watching(tails, events_of(component), BEGINNING) as second,
        ):
            await second.until(lambda: first.status and second.status)
            assert (first.status, second.status) == (200, 418)
        assert tails.places.taken == 0

    run(component, test)


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("name=build.log&task=8", {}),
        ("", {}),
        (BEGINNING, {"host": "elsewhere.example.com"}),
        (f"{BEGINNING}&" + "a=1&" * 50, {}),
    ],
)
def test_requests_for_no_stream_are_passed_to_django(
    component: ComponentBuild, query: str, headers: dict[str, str]
) -> None:
    async def test(tails: LogTails) -> None:
        async with watching(tails, events_of(component), query, **headers) as watcher:
            await watcher.until(lambda: watcher.status)
        assert watcher.status == 418

    run(component, test)


def test_without_streams_a_watcher_gets_what_there_is_and_comes_back(
    client: Client, component: ComponentBuild, log: Path
) -> None:
    answer = client.get(address(component, f"/events?{BEGINNING}"))
    assert answer["Content-Type"].startswith("text/event-stream")
    assert answer.content.startswith(b"retry: 3000\n\nevent: lines\nid: 7-8-3\n")
    assert b"replaced" in client.get(address(component, "/events?name=build.log&task=8")).content
    assert client.get(f"/builds/{component.module_build_id}/other/log/events").status_code == 404
