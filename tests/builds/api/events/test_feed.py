"""The event stream of one build."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.api.events import feed
from builds.api.events.asgi import EventStreams
from builds.api.events.feed import Feed, read
from builds.models import (
    ComponentBuild,
    ComponentBuildTrace,
    LogMessage,
    ModuleBuild,
    ModuleBuildTrace,
    Phase,
)
from mbs.states import BuildState, ComponentState
from tests import factories
from tests.builds.api.events.watching import Watcher, django, in_database, scope, watching

pytestmark = pytest.mark.django_db(transaction=True)


def events_of(build_id: object) -> str:
    return f"/module-build-service/2/module-builds/{build_id}/events"


def application(**options: float) -> EventStreams:
    return EventStreams(django, **{"interval": 0.05, **options})


@pytest.fixture
def building() -> ModuleBuild:
    """A build with two components, one of which builds."""
    build = factories.module_build(state=BuildState.BUILD, batch=2, phase=Phase.BUILDING)
    factories.component_build(build, package="alpha", state=ComponentState.BUILDING, task_id=7)
    factories.component_build(build, package="beta", state=None)
    return build


@transaction.atomic
def finish(build: ModuleBuild, state: BuildState = BuildState.FAILED) -> None:
    ComponentBuild.objects.filter(module_build=build).update(state=ComponentState.COMPLETE)
    for component in build.component_builds.all():
        ComponentBuildTrace.objects.create(component_build=component, state=ComponentState.COMPLETE)
    ModuleBuild.objects.filter(pk=build.pk).update(state=state)
    ModuleBuildTrace.objects.create(module_build=build, state=state, state_reason="It is over.")


def test_a_watcher_gets_what_was_what_comes_and_the_end(building: ModuleBuild) -> None:
    async def watch() -> Watcher:
        async with watching(application(), events_of(building.pk)) as watcher:
            await watcher.until(lambda: "batch" in watcher.names)
            assert sorted(watcher.names[:-1]) == ["component"] * 2 + ["state"] * 3
            message = "Look at this\nand that"
            await in_database(lambda: LogMessage.objects.create(module_build=building, message=message))
            await watcher.until(lambda: "log" in watcher.names)
            await in_database(lambda: finish(building))
            await watcher.until(lambda: watcher.ended)
        return watcher

    watcher = asyncio.run(watch())
    assert watcher.status == 200
    assert watcher.headers[b"content-type"].startswith(b"text/event-stream")
    assert watcher.headers[b"access-control-allow-origin"] == b"*"
    assert watcher.names[-1] == "end"
    told = [(event["event"], json.loads(event["data"])) for event in watcher.events]
    states = [data["state_name"] for name, data in told if name == "state"]
    assert states == ["init", "wait", "build", "failed"]
    log = next(data for name, data in told if name == "log")
    assert log["message"] == "Look at this\nand that"
    components = [(data["package"], data["state_name"]) for name, data in told if name == "component"]
    assert components == [
        ("alpha", "BUILDING"),
        ("beta", None),
        ("alpha", "COMPLETE"),
        ("beta", "COMPLETE"),
    ]
    (batch,) = [data for name, data in told if name == "batch"]
    assert (batch["batch"], batch["phase"]) == (2, "building")


def test_from_each_id_a_stream_goes_on_without_gap_or_double(building: ModuleBuild) -> None:
    finish(building)

    async def whole(**headers: str) -> list[dict[str, str]]:
        async with watching(application(), events_of(building.pk), **headers) as watcher:
            await watcher.until(lambda: watcher.ended)
        return watcher.events

    async def compare() -> None:
        everything = await whole()
        assert len(everything) == 10
        for place, event in enumerate(everything[:-2]):
            rest = await whole(last_event_id=event["id"])
            assert [e["data"] for e in rest] == [e["data"] for e in everything[place + 1 :]]

    asyncio.run(compare())


def test_a_client_that_has_seen_the_end_gets_204(building: ModuleBuild, client: Client) -> None:
    finish(building)

    async def end() -> tuple[str, int]:
        hub = application()
        async with watching(hub, events_of(building.pk)) as watcher:
            await watcher.until(lambda: watcher.ended)
        last = watcher.events[-1]["id"]
        async with watching(hub, events_of(building.pk), last_event_id=last) as watcher:
            await watcher.until(lambda: watcher.ended)
        return last, watcher.status

    last, status = asyncio.run(end())
    assert status == 204
    answer = client.get(
        f"/module-build-service/2/module-builds/{building.pk}/events", headers={"Last-Event-ID": last}
    )
    assert answer.status_code == 204


def test_a_row_that_becomes_visible_after_a_later_one_is_sent(building: ModuleBuild) -> None:
    alpha = building.component_builds.get(package="alpha")
    late = ComponentBuildTrace.objects.latest("pk").pk + 1

    async def watch() -> list[dict[str, str]]:
        async with watching(application(), events_of(building.pk)) as watcher:
            await watcher.until(lambda: "batch" in watcher.names)
            for number in (late + 1, late):
                row = ComponentBuildTrace(pk=number, component_build=alpha, state=1, state_reason=str(number))
                await in_database(lambda row=row: row.save(force_insert=True))
                await watcher.until(lambda number=number: f'"reason":"{number}"' in watcher.text)
            resume = watcher.events[-2]["id"]
        async with watching(application(), events_of(building.pk), last_event_id=resume) as watcher:
            await watcher.until(lambda: watcher.names)
            return watcher.events

    (again,) = asyncio.run(watch())
    assert json.loads(again["data"])["reason"] == str(late)


def test_a_failed_build_is_over_when_its_components_are(building: ModuleBuild) -> None:
    ModuleBuild.objects.filter(pk=building.pk).update(state=BuildState.FAILED)

    async def watch() -> None:
        async with watching(application(), events_of(building.pk)) as watcher:
            await watcher.until(lambda: "batch" in watcher.names)
            await asyncio.sleep(0.2)
            assert not watcher.ended
            await in_database(lambda: finish(building))
            await watcher.until(lambda: watcher.ended)

    asyncio.run(watch())


def test_silence_is_broken_so_that_no_proxy_hangs_up(building: ModuleBuild) -> None:
    async def watch() -> None:
        async with watching(application(heartbeat=0.05), events_of(building.pk)) as watcher:
            await watcher.until(lambda: watcher.text.count(": keep-alive") >= 3)

    asyncio.run(watch())


@pytest.mark.parametrize(
    ("build_id", "headers"),
    [
        (10**9, {}),
        (10**17, {}),
        ("1", {"last_event_id": "forged"}),
        ("1", {"host": "evil.example.com"}),
        ("1x", {}),
    ],
)
def test_requests_that_cannot_be_streamed_are_passed_to_django(
    build_id: object, headers: dict[str, str]
) -> None:
    async def ask() -> int:
        async with watching(application(), events_of(build_id), **headers) as watcher:
            await watcher.until(lambda: watcher.ended)
        return watcher.status

    assert asyncio.run(ask()) == 418


def test_many_watchers_cost_one_statement_at_a_time_and_no_threads(building: ModuleBuild) -> None:
    others = [factories.module_build(state=BuildState.BUILD) for _ in range(20)]
    numbers = [building.pk, *(other.pk for other in others)] * 24

    async def watch() -> tuple[int, int]:
        app = application(interval=0.3)
        watchers = [Watcher() for _ in numbers]
        tasks = [
            asyncio.create_task(app(scope(events_of(number)), watcher.receive, watcher.send))
            for number, watcher in zip(numbers, watchers, strict=True)
        ]
        for watcher in watchers:
            await watcher.until(lambda watcher=watcher: watcher.events)
        threads = threading.active_count()
        rounds = app.hub.rounds
        await asyncio.sleep(1)
        rounds = app.hub.rounds - rounds
        await in_database(lambda: finish(building))
        for number, watcher in zip(numbers, watchers, strict=True):
            if number == building.pk:
                await watcher.until(lambda watcher=watcher: watcher.ended)
            watcher.gone.set()
        await asyncio.gather(*tasks)
        return threads, rounds

    before = threading.active_count()
    threads, rounds = asyncio.run(watch())
    assert threads <= before + 1
    assert rounds <= 4


def test_a_look_at_the_database_without_news_is_one_statement(building: ModuleBuild) -> None:
    known = Feed(building.pk)
    found, progress = read([known], {})
    known.update(found[building.pk], progress[building.pk])
    with CaptureQueriesContext(connection) as queries:
        found, _ = read([known], {})
    assert not found
    assert len(queries) == 1


def test_an_outage_of_the_database_is_survived(
    building: ModuleBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, away, refused = feed.read, threading.Event(), threading.Event()

    def unsteady(*args: Any) -> Any:
        if away.is_set():
            refused.set()
            raise OperationalError("gone")
        return real(*args)

    monkeypatch.setattr(feed, "read", unsteady)

    async def watch() -> None:
        async with watching(application(timeout=0.3), events_of(building.pk)) as watcher:
            await watcher.until(lambda: "batch" in watcher.names)
            away.set()
            # Reads follow each other: once one is refused, none that began before is under way.
            assert await asyncio.to_thread(refused.wait, 60)
            await in_database(lambda: LogMessage.objects.create(module_build=building, message="missed"))
            refused.clear()
            assert await asyncio.to_thread(refused.wait, 60)
            assert "missed" not in watcher.text
            async with watching(application(timeout=0.3), events_of(building.pk)) as newcomer:
                await newcomer.until(lambda: newcomer.ended)
                assert newcomer.status == 418
            away.clear()
            await watcher.until(lambda: "missed" in watcher.text)

    asyncio.run(watch())


def test_a_server_that_cannot_stream_answers_with_the_events_so_far(
    building: ModuleBuild, client: Client
) -> None:
    path = f"/module-build-service/2/module-builds/{building.pk}/events"
    answer = client.get(path)
    assert answer["Content-Type"].startswith("text/event-stream")
    assert answer.content.startswith(b"retry: 5000\n\n")
    assert b"event: end" not in answer.content
    last = answer.content.decode().split("\nid: ")[-1].split("\n")[0]
    assert client.get(path, headers={"Last-Event-ID": last}).content == b"retry: 5000\n\n"
    ModuleBuildTrace.objects.create(module_build=building, state=2, state_reason="more", time=timezone.now())
    more = client.get(f"{path}/", headers={"Last-Event-ID": last}).content
    assert more.count(b"event: ") == 1
    assert b'"reason":"more"' in more


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_unknown_build_has_no_events(client: Client, version: str) -> None:
    answer = client.get(f"/module-build-service/{version}/module-builds/999999/events")
    assert answer.status_code == 404
    assert answer.json()["code"] == "no_such_module_build"


def test_a_forged_id_is_refused(building: ModuleBuild, client: Client) -> None:
    path = f"/module-build-service/2/module-builds/{building.pk}/events"
    answer = client.get(path, headers={"Last-Event-ID": "forged"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_event_id"
