"""The event stream of all builds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from builds.api.events import everything
from builds.api.events.everything import AllEvents
from builds.models import ComponentBuild, ComponentBuildTrace, ModuleBuild, ModuleBuildTrace
from mbs.states import BuildState, ComponentState
from tests import factories
from tests.builds.api.events.watching import Watcher, django, in_database, watching

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def build() -> ModuleBuild:
    return factories.module_build(name="quiet", owner="ann", state=BuildState.BUILD)


def run(test: Callable[[AllEvents], Any]) -> None:
    asyncio.run(test(AllEvents(django, interval=0.05, heartbeat=0.1)))


async def happens(build: ModuleBuild, reason: str, **values: Any) -> None:
    state = values.pop("state", BuildState.FAILED)
    await in_database(
        lambda: ModuleBuildTrace.objects.create(
            module_build=build, state=state, state_reason=reason, **values
        )
    )


def reasons(watcher: Watcher) -> list[str]:
    return [json.loads(each["data"])["reason"] for each in watcher.events if each["event"] == "state"]


def test_a_watcher_gets_what_happens_to_all_builds_from_then_on(build: ModuleBuild) -> None:
    async def test(events: AllEvents) -> None:
        async with watching(events, "/events") as watcher:
            await watcher.until(lambda: "begin" in watcher.names)
            await happens(build, "first")
            component = await in_database(
                lambda: factories.component_build(build, package="libfoo", nvr="x-1-1")
            )
            await watcher.until(lambda: "component" in watcher.names and reasons(watcher))
            assert component.pk
        assert reasons(watcher) == ["first"]
        state, of_component = (
            json.loads(each["data"])
            for name in ("state", "component")
            for each in watcher.events
            if each["event"] == name
        )
        assert (state["module_build"], state["name"], state["owner"]) == (build.pk, "quiet", "ann")
        assert state["state_name"] == "failed"
        assert (of_component["package"], of_component["nvr"]) == ("libfoo", "x-1-1")
        assert watcher.headers[b"access-control-allow-origin"] == b"*"

    run(test)


@pytest.mark.parametrize(
    ("query", "told"),
    [("owner=bob", ["b"]), ("name=quiet&stream=1", ["a"]), ("kind=component", []), ("stream=9", [])],
)
def test_a_watcher_chooses(build: ModuleBuild, query: str, told: list[str]) -> None:
    other = factories.module_build(name="other", owner="bob", stream="2")

    async def test(events: AllEvents) -> None:
        async with watching(events, "/events") as everything_, watching(events, "/events", query) as chosen:
            await everything_.until(lambda: "begin" in everything_.names and "begin" in chosen.names)
            await happens(build, "a")
            await happens(other, "b")
            await everything_.until(lambda: len(reasons(everything_)) == 2)
            seen = chosen.text.count("still here")
            await chosen.until(lambda: chosen.text.count("still here") > seen)
        assert reasons(chosen) == told

    run(test)


def test_a_watcher_that_comes_back_gets_what_it_missed_and_nothing_twice(build: ModuleBuild) -> None:
    async def test(events: AllEvents) -> None:
        async with watching(events, "/events") as watcher:
            await watcher.until(lambda: "begin" in watcher.names)
            await happens(build, "one")
            await watcher.until(lambda: reasons(watcher) == ["one"])
            last = watcher.events[-1]["id"]
        await happens(build, "two")
        async with watching(events, "/events", last_event_id=last) as back:
            await back.until(lambda: reasons(back))
            await happens(build, "three")
            await back.until(lambda: len(reasons(back)) == 2)
        assert reasons(back) == ["two", "three"]

    run(test)


def test_a_row_that_becomes_visible_late_is_sent(build: ModuleBuild) -> None:
    number = ModuleBuildTrace.objects.latest("pk").pk

    async def test(events: AllEvents) -> None:
        async with watching(events, "/events") as watcher:
            await watcher.until(lambda: "begin" in watcher.names)
            await happens(build, "later number", pk=number + 5)
            await watcher.until(lambda: reasons(watcher))
            await happens(build, "earlier number", pk=number + 3)
            await watcher.until(lambda: len(reasons(watcher)) == 2)
        assert reasons(watcher) == ["later number", "earlier number"]

    run(test)


def test_a_watcher_that_missed_too_much_gets_an_event_about_it(
    build: ModuleBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everything, "_MISSED", 2)
    cursor = str(everything.present())
    time = build.time_submitted + timedelta(days=1)
    for number in range(4):
        ModuleBuildTrace.objects.create(module_build=build, state=3, state_reason=str(number), time=time)

    async def test(events: AllEvents) -> None:
        async with watching(events, "/events", last_event_id=cursor) as watcher:
            await watcher.until(lambda: "skipped" in watcher.names)
            await happens(build, "new")
            await watcher.until(lambda: reasons(watcher))
        assert reasons(watcher) == ["new"]

    run(test)


def test_one_reader_serves_all_watchers(build: ModuleBuild) -> None:
    async def test(events: AllEvents) -> None:
        async with (
            watching(events, "/events") as one,
            watching(events, "/events") as two,
            watching(events, "/events") as three,
        ):
            for watcher in (one, two, three):
                await watcher.until(lambda watcher=watcher: "begin" in watcher.names)
            await happens(build, "told")
            for watcher in (one, two, three):
                await watcher.until(lambda watcher=watcher: reasons(watcher) == ["told"])
            readers = [task.get_coro().__name__ for task in asyncio.all_tasks()]
            assert readers.count("_read_while_watched") == 1
        assert events.reader.watching == 0

    run(test)


def test_an_outage_of_the_database_does_not_end_streams(
    build: ModuleBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, away = everything.unseen, []

    def unseen(*args: Any) -> Any:
        if away:
            raise OperationalError("The database is away.")
        return known(*args)

    monkeypatch.setattr(everything, "unseen", unseen)

    async def test(events: AllEvents) -> None:
        async with watching(events, "/events") as watcher:
            await watcher.until(lambda: "begin" in watcher.names)
            away.append(True)
            await happens(build, "meanwhile")
            rounds = events.reader.rounds
            await watcher.until(lambda: events.reader.rounds > rounds + 1)
            away.clear()
            await watcher.until(lambda: reasons(watcher) == ["meanwhile"])

    run(test)


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("kind=log", {}),
        (f"stream={'s' * 256}", {}),
        ("", {"last_event_id": "nonsense"}),
        ("", {"host": "elsewhere.example.com"}),
    ],
)
def test_requests_for_no_stream_are_passed_to_django(
    build: ModuleBuild, query: str, headers: dict[str, str]
) -> None:
    async def test(events: AllEvents) -> None:
        async with watching(events, "/events", query, **headers) as watcher:
            await watcher.until(lambda: watcher.status)
        assert watcher.status == 418

    run(test)


def test_without_streams_a_watcher_gets_what_happened_since_its_last_event(
    client: Client, build: ModuleBuild
) -> None:
    first = client.get("/events")
    assert first["Content-Type"].startswith("text/event-stream")
    last = next(line for line in first.content.decode().split("\n") if line.startswith("id: "))[4:]
    component = ComponentBuild.objects.create(module_build=build, package="x", batch=1)
    ComponentBuildTrace.objects.create(component_build=component, state=ComponentState.COMPLETE)
    again = client.get("/events?kind=component", headers={"Last-Event-ID": last}).content.decode()
    assert again.count("event: component") == 1
    assert client.get("/events?kind=x").status_code == 400
    long = client.get("/events", {"stream": "s" * 256})
    assert (long.status_code, "'stream'" in long.json()["message"]) == (400, True)
    assert client.get("/events", headers={"Last-Event-ID": "x"}).json()["code"] == "invalid_event_id"
