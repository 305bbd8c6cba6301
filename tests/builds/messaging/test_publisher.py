"""The publisher of fedora-messaging with a real RabbitMQ."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from builds.messaging.publishers import BusUnavailable, Unpublishable, publisher
from builds.models import OutboxMessage
from builds.representations import component_message, module_message
from mbs.states import BuildState
from tests import factories
from tests.builds.messaging.rows import changes
from tests.processes import ROOT, wait_for

PREFIX = "org.fedoraproject.prod"


@pytest.fixture
def bus(bus_config, settings):
    """The publisher, which tries a bus that was away again after 0.1 s."""
    settings.MBS = settings.MBS.model_copy(
        update={
            "MESSAGING": "fedora-messaging",
            "OUTBOX_INTERVAL": 0.1,
            "OUTBOX_LEASE": 60,
            # A connection may take seconds on a busy machine.
            "MESSAGING_TIMEOUT": 30,
        }
    )
    publisher.cache_clear()
    yield publisher()
    publisher.cache_clear()


def arrived(broker, queue: str, rows: list[OutboxMessage]) -> list[str]:
    """Ids of those of these messages that are in the queue, each where it came first."""
    ours = {str(row.message_id) for row in rows}
    return list(dict.fromkeys(m.message_id for _, m, _ in broker.drain(queue) if m.message_id in ours))


def ids(rows: list[OutboxMessage]) -> list[str]:
    return [str(row.message_id) for row in rows]


def send(bus, rows: list[OutboxMessage]) -> None:
    """Publish until all are confirmed, as the outbox does."""
    rows = list(rows)

    def all_taken() -> bool:
        try:
            del rows[: bus.publish(rows)]
        except BusUnavailable:
            return False
        return not rows

    wait_for(all_taken, 30, "the bus to take all messages")


def test_messages_arrive_in_order_with_their_ids_and_schemas(bus, broker, queue):
    rows = changes(30)
    assert bus.publish(rows) == 30
    there = broker.drain(queue)
    assert [properties.message_id for _, properties, _ in there] == ids(rows)
    assert [body for _, _, body in there] == [row.body for row in rows]
    topic, properties, _ = there[3]
    assert topic == f"{PREFIX}.mbs.component.state.change"
    assert properties.delivery_mode == 2
    assert properties.headers["fedora_messaging_schema"] == "mbs.component.state.change.v1"
    assert properties.headers["mbs_url"] == "http://testserver/module-build-service/2/component-builds/3"


@pytest.mark.django_db
@pytest.mark.parametrize("state", BuildState)
def test_bodies_of_module_builds_match_their_schema(bus, broker, queue, state, caplog):
    build = factories.module_build(
        components=2,
        state=state,
        topdir="/srv/x",
        koji_tag="module-x",
        buildrequires={"platform": {"stream": "f40"}},
    )
    component_ids = list(build.component_builds.values_list("pk", flat=True))
    body = module_message(build, component_ids=component_ids, siblings=[])
    assert bus.publish([OutboxMessage(topic="mbs.module.state.change", body=body)]) == 1
    [(_, properties, there)] = broker.drain(queue)
    assert there == body
    assert properties.headers["fedora_messaging_schema"] == "mbs.module.state.change.v1"
    assert properties.headers["mbs_url"].endswith(f"/module-build-service/2/module-builds/{build.pk}")


@pytest.mark.django_db
@pytest.mark.parametrize("state", [None, 0, 1, 2, 3, 4])
def test_bodies_of_component_builds_match_their_schema(bus, broker, queue, state):
    component = factories.component_build(factories.module_build(), state=state)
    body = component_message(component, component.module_build)
    assert bus.publish([OutboxMessage(topic="mbs.component.state.change", body=body)]) == 1
    [(_, properties, there)] = broker.drain(queue)
    assert there == body
    assert properties.headers["fedora_messaging_schema"] == "mbs.component.state.change.v1"


def test_a_message_that_does_not_fit_its_schema_is_published(bus, broker, queue, caplog):
    rows = changes(2)
    rows[0].body["state"] = "burnt"
    assert bus.publish(rows) == 2
    first, second = broker.drain(queue)
    assert first[1].headers["fedora_messaging_schema"] == "base.message"
    assert first[1].message_id == str(rows[0].message_id)
    assert second[1].headers["fedora_messaging_schema"] == "mbs.component.state.change.v1"
    assert "does not match its schema" in caplog.text


def test_a_message_with_a_name_too_long_for_a_header_is_published_without_that_header(bus, broker, queue):
    rows = changes(3)
    rows[1].body["package"] = "p" * 300
    assert bus.publish(rows) == 3
    there = broker.drain(queue)
    assert [properties.message_id for _, properties, _ in there] == ids(rows)
    assert [body for _, _, body in there] == [row.body for row in rows]
    assert there[1][1].headers["fedora_messaging_schema"] == "base.message"


@pytest.mark.parametrize("fault", [{"topic": "unknown"}, {"body": {}}, {"body": []}])
def test_a_message_that_no_bus_accepts_is_not_an_outage(bus, broker, queue, fault):
    rows = changes(3)
    for name, value in fault.items():
        setattr(rows[1], name, value)
    assert bus.publish(rows) == 1
    with pytest.raises(Unpublishable):
        bus.publish(rows[1:])
    assert bus.ready()
    assert bus.publish(rows[2:]) == 1
    assert [properties.message_id for _, properties, _ in broker.drain(queue)] == ids([rows[0], rows[2]])


def test_unused_messages_are_confirmed(bus):
    assert bus.publish(changes(2)) == 2


def test_the_order_is_kept_when_the_broker_refuses_one(bus, broker, queue):
    full = f"{queue}-full"
    broker.declare(full, f"{PREFIX}.mbs.#", **{"x-max-length": 2, "x-overflow": "reject-publish"})
    rows = changes(5)
    try:
        assert bus.publish(rows) == 2
        with pytest.raises(BusUnavailable, match="a moment ago"):
            bus.publish(rows[2:])
    finally:
        with broker.channel() as channel:
            channel.queue_delete(full)
    send(bus, rows[2:])
    assert arrived(broker, queue, rows) == ids(rows)


def test_a_broker_that_is_killed_costs_no_time_and_loses_no_message(bus, broker, queue):
    """Steps of builds publish what they record: they must not wait for a connection again and again."""
    assert bus.publish(changes(1)) == 1
    rows = changes(20)
    broker.kill()
    try:
        wait_for(lambda: not bus.ready(), what="the loss of the connection to be noticed")
        start = time.monotonic()
        with pytest.raises(BusUnavailable, match="no connection"):
            bus.publish(rows)
        assert time.monotonic() - start < 0.9
    finally:
        broker.start()
    send(bus, rows)
    assert arrived(broker, queue, rows) == ids(rows)


def test_a_silent_broker_is_tried_again_at_growing_intervals(bus, broker, queue, settings):
    assert bus.publish(changes(1)) == 1
    settings.MBS = settings.MBS.model_copy(update={"OUTBOX_INTERVAL": 5, "MESSAGING_TIMEOUT": 1})
    broker.pause()
    try:
        pauses = []
        for _ in range(3):
            bus._away_until = 0.0
            with pytest.raises(BusUnavailable, match="timed out"):
                bus.publish(changes(1))
            pauses.append(bus._away_until - time.monotonic())
            assert not bus.ready()
        assert pauses[1] > 1.5 * pauses[0]
        assert pauses[2] > 1.5 * pauses[1]
    finally:
        broker.resume()
    bus._away_until = 0.0
    settings.MBS = settings.MBS.model_copy(update={"OUTBOX_INTERVAL": 0.1, "MESSAGING_TIMEOUT": 30})
    rows = changes(3)
    send(bus, rows)
    assert arrived(broker, queue, rows) == ids(rows)


def test_a_process_forked_after_publishing_raises_an_error_and_does_not_hang(bus):
    assert bus.publish(changes(1)) == 1
    child = os.fork()
    if child == 0:
        try:
            bus.publish(changes(1))
            os._exit(0)
        except BusUnavailable as error:
            os._exit(42 if "forked" in str(error) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 42


def test_the_service_starts_without_a_reactor():
    """A worker's children would inherit one that can do nothing for them."""
    code = (
        "import config.celery, django, sys; django.setup(); import builds.tasks, config.urls;"
        "sys.exit('twisted.internet.reactor' in sys.modules)"
    )
    environ = {**os.environ, "MBS_CONFIG_SECTION": "test"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, check=True, timeout=60)
