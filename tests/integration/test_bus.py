"""Bus messages of a hub are parsed. ``--amqp-url URL`` names the broker that it publishes to."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pika
import pytest

from builds.consumers import koji_events
from buildsys.base import TaskState
from tests.integration.conftest import Setting
from tests.integration.steps import regenerate, with_macros

PREFIX = "org.fedoraproject.prod."


@pytest.fixture
def channel(request: pytest.FixtureRequest) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    """A channel with a queue that gets all that Koji publishes."""
    url = request.config.getoption("--amqp-url", "")
    if not url:
        pytest.skip("no --amqp-url: the bus of the hub is not tested")
    parameters = pika.URLParameters(url)
    # Nobody beats while the test waits for builders.
    parameters.heartbeat = 0
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.exchange_declare("amq.topic", "topic", passive=True)
    channel.queue_declare("mbs-integration", exclusive=True)
    channel.queue_bind("mbs-integration", "amq.topic", "#")
    yield channel
    connection.close()


def test_the_bus_carries_builds_tags_and_repositories(
    setting: Setting, channel: pika.adapters.blocking_connection.BlockingChannel
) -> None:
    module, macros_nvr = with_macros(setting, "bus")
    regenerate(setting, module, [macros_nvr])
    wanted = {
        koji_events.BuildTagged(f"{module.tag}-build", macros_nvr),
        koji_events.RepoDone(f"{module.tag}-build"),
    }
    seen: set[object] = set()
    end = time.monotonic() + setting.patience
    while not (wanted <= seen and _completed(seen, macros_nvr)):
        assert time.monotonic() < end, f"missing on the bus: {wanted - seen}; seen: {seen}"
        method, _, body = channel.basic_get("mbs-integration", auto_ack=True)
        if method is None:
            time.sleep(0.1)
            continue
        _, found, kind = method.routing_key.partition("buildsys.")
        seen.add(koji_events.parse(f"{PREFIX}{found}{kind}", json.loads(body)))


def _completed(seen: set[object], nvr: str) -> bool:
    return any(
        isinstance(event, koji_events.BuildChanged) and (event.nvr, event.state) == (nvr, TaskState.COMPLETE)
        for event in seen
    )
