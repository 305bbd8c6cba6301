"""Prefork workers publish the messages of whole builds on a real bus."""

from __future__ import annotations

from collections import defaultdict

from builds import dispatch
from builds.models import ModuleBuild, OutboxMessage
from builds.services.transitions import TOPIC
from mbs.states import BuildState
from tests.builds.workflow.modules import make_build, wait_for_state
from tests.processes import wait_for


def start(workers, config, **options):
    workers.environ |= {
        "MBS_MESSAGING": "fedora-messaging",
        "FEDORA_MESSAGING_CONF": str(config),
        "MBS_OUTBOX_LEASE": "5",
        "MBS_MESSAGING_TIMEOUT": "1",
    }
    return workers.start(**options)


def assert_all_told(broker, queue) -> int:
    """Each message of each build is on the bus, in the order of its rows; answers how many came twice."""
    wait_for(lambda: not OutboxMessage.objects.filter(published_at=None).exists(), 60, "an empty outbox")
    first: dict[int, dict[str, dict]] = defaultdict(dict)
    doubled = 0
    for topic, properties, body in broker.drain(queue):
        build = body["id"] if topic.endswith(TOPIC) else body["module_build"]
        doubled += properties.message_id in first[build]
        first[build].setdefault(properties.message_id, body)
    builds = ModuleBuild.objects.all()
    assert set(first) == {build.pk for build in builds}
    for build in builds:
        rows = {str(row.message_id): row.body for row in build.outbox.order_by("id")}
        assert first[build.pk] == rows
        assert list(first[build.pk]) == list(rows)
    return doubled


def test_every_child_of_a_worker_publishes(workers, bus_config, broker, queue):
    worker = start(workers, bus_config, concurrency=3, beat=True)
    builds = [make_build(["alpha"], ["beta", "gamma"]) for _ in range(6)]
    for build in builds:
        dispatch.advance(build.pk)
    for build in builds:
        wait_for_state(build, BuildState.READY, 60)
    assert assert_all_told(broker, queue) == 0
    worker.process.terminate()
    assert worker.process.wait(20) == 0


def test_a_bus_that_is_killed_in_the_middle_holds_up_no_build_and_misses_no_message(
    workers, bus_config, broker, queue
):
    start(workers, bus_config, concurrency=3, beat=True, SIMULATED_BUILD_SECONDS=0.3)
    builds = [make_build(["alpha"], ["beta", "gamma"]) for _ in range(5)]
    for build in builds:
        dispatch.advance(build.pk)
    wait_for(lambda: OutboxMessage.objects.exclude(published_at=None).count() > 8, what="the first messages")
    broker.kill()
    try:
        for build in builds:
            wait_for_state(build, BuildState.READY, 60)
        assert OutboxMessage.objects.filter(published_at=None).exists()
    finally:
        broker.start()
    assert_all_told(broker, queue)


def test_a_bus_that_is_away_is_tried_once_by_each_process(workers, bus_config, broker, queue):
    """The steps of builds publish what they record: trying each time had made builds 2.7 times slower."""
    start(workers, bus_config, concurrency=2, beat=True)
    first = make_build(["alpha"])
    dispatch.advance(first.pk)
    wait_for_state(first, BuildState.READY, 60)
    wait_for(lambda: not OutboxMessage.objects.filter(published_at=None).exists(), 60, "an empty outbox")
    broker.kill()
    try:
        builds = [make_build(["alpha"], ["beta", "gamma"]) for _ in range(6)]
        for build in builds:
            dispatch.advance(build.pk)
        for build in builds:
            wait_for_state(build, BuildState.READY, 60)
        # Dozens of messages, and two processes that learn once that their connection is gone.
        assert workers.logs().count("The bus did not confirm") <= 4
    finally:
        broker.start()
    assert_all_told(broker, queue)
