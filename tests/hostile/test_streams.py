"""Clients that open more streams than their share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from builds.api.events.asgi import EventStreams
from builds.api.events.everything import AllEvents
from builds.api.serving.places import Places, client_of
from builds.models import ComponentBuild
from builds.web.log_tail import LogTails
from mbs.states import BuildState
from tests import factories
from tests.builds.api.events.watching import Watcher, django, watching
from tests.builds.web.component_logs import open_log, row

pytestmark = pytest.mark.django_db(transaction=True)
Streams = EventStreams | AllEvents | LogTails


@asynccontextmanager
async def opened(application: Streams, path: str, query: str, client: str) -> AsyncIterator[Watcher]:
    """Open a stream, and wait for its status."""
    async with watching(application, path, query, client=client) as watcher:
        await watcher.until(lambda: watcher.status)
        yield watcher


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return open_log(tmp_path, monkeypatch)


@pytest.fixture(params=["build", "all", "log"])
def streams(request: pytest.FixtureRequest, log: Any) -> Iterator[tuple[Callable[[], Streams], str, str]]:
    """Each kind of stream: how to make its application, its path and its query."""
    if request.param == "build":
        build = factories.module_build(state=BuildState.BUILD)
        path = f"/module-build-service/2/module-builds/{build.pk}/events"
        yield lambda: EventStreams(django, interval=0.05, heartbeat=0.1), path, ""
    elif request.param == "all":
        yield lambda: AllEvents(django, interval=0.05, heartbeat=0.1), "/events", ""
    else:
        log.write_bytes(b"one\n")
        component: ComponentBuild = row(task_id=7)
        path = f"/builds/{component.module_build_id}/{component.package}/log/events"
        yield lambda: LogTails(django, interval=0.05, heartbeat=0.1), path, "name=build.log&task=7"


def test_a_client_that_has_its_share_is_refused_and_others_are_served(
    streams: tuple[Callable[[], Streams], str, str],
) -> None:
    make, path, query = streams

    async def test() -> None:
        application = make()
        application.places = Places(10, 2)
        async with AsyncExitStack() as stack:

            async def status(client: str) -> int:
                return (await stack.enter_async_context(opened(application, path, query, client))).status

            mine = [await status("192.0.2.1") for _ in range(4)]
            assert mine == [200, 200, 429, 429]
            assert await status("192.0.2.2") == 200
            # Clients behind a front on a Unix socket that names no address are not one client.
            assert [await status("") for _ in range(3)] == [200] * 3
        assert application.places.taken == 0
        async with opened(application, path, query, "192.0.2.1") as again:
            assert again.status == 200

    asyncio.run(test())


def test_a_refused_client_learns_when_to_try_again() -> None:
    async def test() -> None:
        application = AllEvents(django)
        application.places = Places(10, 0)
        async with opened(application, "/events", "", "192.0.2.1") as refused:
            assert refused.status == 429
            assert refused.headers[b"retry-after"] == b"30"

    asyncio.run(test())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_the_addresses_of_one_customer_are_one_client(one: str, other: str, same: bool) -> None:
    assert (client_of({"client": (one, 1)}) == client_of({"client": (other, 2)})) is same
