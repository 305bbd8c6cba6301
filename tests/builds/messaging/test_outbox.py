"""The outbox publishes every message in order after its transaction is committed, also after outages."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from builds.messaging import outbox
from builds.messaging.publishers import BusUnavailable, Unpublishable
from builds.models import ComponentBuild, OutboxMessage
from builds.selectors.metrics import StateCollector
from builds.services import cancellation
from builds.workflow import sweeps
from mbs.states import BuildState, ComponentState
from tests import factories
from tests.processes import wait_for


class Bus:
    """A bus that takes a number of messages and then none, and never one of the topic ``poison``."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.room = 10**9
        self.is_ready = True

    def ready(self) -> bool:
        return self.is_ready

    def publish(self, messages) -> int:
        if messages[0].topic == "poison":
            raise Unpublishable("A header is too long.")
        topics = [message.topic for message in messages]
        messages = messages[: topics.index("poison") if "poison" in topics else None]
        part = messages[: self.room]
        if not part:
            raise BusUnavailable("away")
        self.room -= len(part)
        self.taken += [message.topic for message in part]
        return len(part)


@pytest.fixture
def bus(monkeypatch):
    bus = Bus()
    monkeypatch.setattr(outbox, "publisher", lambda: bus)
    return bus


@pytest.fixture
def build(transactional_db):
    return factories.module_build()


def add(build, *topics: str) -> None:
    with transaction.atomic():
        outbox.add(build.pk, [(topic, {}) for topic in topics])


def blocked() -> bool:
    """Return whether a transaction waits for another one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return cursor.fetchone()[0] > 0


def test_messages_go_out_after_commit_and_not_before(build, bus):
    with transaction.atomic():
        outbox.add(build.pk, [("a", {})])
        assert bus.taken == []
    assert bus.taken == ["a"]


def test_a_publisher_that_is_broken_is_no_fault_of_who_records(build, bus, monkeypatch, caplog):
    done = []
    monkeypatch.setattr(bus, "publish", lambda messages: 1 / 0)
    with transaction.atomic():
        outbox.add(build.pk, [("a", {})])
        transaction.on_commit(lambda: done.append("next"))
    assert done == ["next"]
    assert "ZeroDivisionError" in caplog.text
    assert OutboxMessage.objects.filter(published_at=None).count() == 1


def test_a_rolled_back_transaction_publishes_nothing(build, bus):
    with transaction.atomic():
        outbox.add(build.pk, [("a", {})])
        transaction.set_rollback(True)
    assert bus.taken == []
    assert not OutboxMessage.objects.exists()


def test_messages_that_another_publisher_confirmed_first_are_not_published_again(build, bus):
    with transaction.atomic():
        transaction.on_commit(lambda: outbox.flush(build.pk))
        outbox.add(build.pk, [("a", {}), ("b", {})])
    assert bus.taken == ["a", "b"]
    assert outbox.pending_builds() == []


def test_more_messages_than_are_published_at_once_keep_their_order(build, bus, monkeypatch):
    monkeypatch.setattr(outbox, "CHUNK", 2)
    add(build, "a", "b", "c", "d", "e")
    assert bus.taken == ["a", "b", "c", "d", "e"]


def test_messages_kept_during_an_outage_are_sent_first_and_in_order(build, bus):
    bus.room = 1
    add(build, "a", "b", "c")
    assert bus.taken == ["a"]
    assert outbox.pending_builds() == [build.pk]
    add(build, "d")
    assert bus.taken == ["a"]
    bus.room = 10
    assert outbox.flush(build.pk) == 3
    assert bus.taken == ["a", "b", "c", "d"]
    assert outbox.pending_builds() == []


def test_one_build_has_one_publisher_at_a_time(build, bus):
    bus.room = 0
    add(build, "a")
    bus.room = 10
    build.publishing_until = timezone.now() + timedelta(seconds=60)
    build.save()
    assert outbox.flush(build.pk) == 0
    assert outbox.pending_builds() == []
    build.publishing_until = timezone.now() - timedelta(seconds=1)
    build.save()
    assert outbox.flush(build.pk) == 1


@pytest.mark.parametrize("topic", ["a", "poison"])
def test_the_lease_of_a_process_that_dies_before_it_releases_it_is_released(build, bus, monkeypatch, topic):
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "_release_when_empty", lambda *args: exit())
        with pytest.raises(SystemExit):
            add(build, topic)
    type(build).objects.update(publishing_until=timezone.now() - timedelta(seconds=1))
    assert outbox.pending_builds() == [build.pk]
    outbox.flush(build.pk)
    build.refresh_from_db()
    assert build.publishing_until is None


def test_a_build_without_messages_gets_no_lease(build, bus, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert outbox.flush(build.pk) == 0


@pytest.mark.parametrize("topics", ["a", "ab"])
def test_a_publisher_that_was_overtaken_leaves_the_rest_and_the_lease_to_the_other(
    build, bus, monkeypatch, topics
):
    monkeypatch.setattr(outbox, "CHUNK", 1)
    take = bus.publish
    other = timezone.now() + timedelta(seconds=60)

    def slow(messages) -> int:
        type(build).objects.filter(pk=build.pk).update(publishing_until=other)
        return take(messages)

    bus.publish = slow
    add(build, *topics)
    assert bus.taken == ["a"]
    build.refresh_from_db()
    assert build.publishing_until == other


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one transaction at a time")
def test_a_message_that_is_written_while_the_publisher_waits_to_release_its_lease_goes_out(
    build, bus, monkeypatch
):
    publishing, written, committed = threading.Event(), threading.Event(), threading.Event()
    take, release = bus.publish, outbox._release_when_empty

    def publish(messages) -> int:
        publishing.set()
        assert written.wait(10)
        return take(messages)

    def slow_release(*args) -> bool:
        released = release(*args)
        assert committed.wait(10)
        return released

    def first() -> None:
        try:
            add(build, "first")
        finally:
            connection.close()

    monkeypatch.setattr(bus, "publish", publish)
    monkeypatch.setattr(outbox, "_release_when_empty", slow_release)
    other = threading.Thread(target=first)
    other.start()
    assert publishing.wait(10)
    with transaction.atomic():
        outbox.add(build.pk, [("second", {})])
        written.set()
        wait_for(blocked, what="the publisher to wait for the second transaction")
    committed.set()
    other.join()
    assert bus.taken == ["first", "second"]
    assert outbox.pending_builds() == []
    build.refresh_from_db()
    assert build.publishing_until is None


def test_a_long_outbox_is_published_under_one_lease(build, bus, monkeypatch, settings):
    """The lease is taken again with each part, so that it cannot run out in the middle."""
    monkeypatch.setattr(outbox, "CHUNK", 2)
    ends = []
    take = bus.publish

    def looking(messages) -> int:
        build.refresh_from_db()
        ends.append(build.publishing_until)
        return take(messages)

    bus.publish = looking
    add(build, *"abcde")
    assert bus.taken == list("abcde")
    assert len(ends) == 3
    assert ends == sorted(set(ends))


def test_a_message_that_cannot_be_published_is_set_aside_and_the_others_go_out(build, bus, caplog):
    add(build, "a", "poison", "b", "poison")
    assert bus.taken == ["a", "b"]
    assert outbox.pending_builds() == []
    aside = list(outbox.set_aside())
    assert [message.topic for message in aside] == ["poison", "poison"]
    assert {message.error for message in aside} == {"A header is too long."}
    assert "cannot be published and is set aside" in caplog.text
    build.refresh_from_db()
    assert build.publishing_until is None


def test_messages_set_aside_are_reported_and_can_be_sent_again(build, bus, monkeypatch):
    add(build, "poison", "a")
    assert sweeps.publish_outbox() == {"builds": 0, "waiting": 0, "set_aside": 1}
    values = {family.name: family.samples[0].value for family in StateCollector().collect() if family.samples}
    assert values["mbs_outbox_set_aside"] == 1
    assert values["mbs_outbox_depth"] == values["mbs_outbox_age_seconds"] == 0
    OutboxMessage.objects.filter(topic="poison").update(topic="b")
    assert outbox.resend(outbox.set_aside()) == 1
    assert bus.taken == ["a", "b"]
    assert not outbox.set_aside().exists()


def test_while_the_bus_is_away_nothing_is_tried(build, bus, django_assert_num_queries):
    bus.is_ready = False
    with django_assert_num_queries(0):
        assert outbox.flush(build.pk) == 0
    add(build, "a")
    assert bus.taken == []
    assert sweeps.publish_outbox()["waiting"] == 1
    bus.is_ready = True
    assert sweeps.publish_outbox()["waiting"] == 0
    assert bus.taken == ["a"]


def test_the_order_of_the_rows_is_the_order_of_the_commits(build, bus):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one transaction at a time.")
    added = threading.Event()

    def second() -> None:
        try:
            with transaction.atomic():
                added.set()
                outbox.add(build.pk, [("second", {})])
        finally:
            connection.close()

    other = threading.Thread(target=second)
    with transaction.atomic():
        outbox.add(build.pk, [("first", {})])
        other.start()
        added.wait(10)
        wait_for(blocked, what="the second transaction to wait for the first")
        assert bus.taken == []
    other.join()
    assert bus.taken == ["first", "second"]
    assert list(OutboxMessage.objects.order_by("id").values_list("topic", flat=True)) == ["first", "second"]


def test_a_resumption_publishes_the_components_that_are_built_again(build, bus):
    type(build).objects.filter(pk=build.pk).update(state=BuildState.FAILED)
    done = factories.component_build(build, state=ComponentState.COMPLETE)
    failed = factories.component_build(build, state=ComponentState.FAILED, state_reason="no space left")
    cancellation.resume(build, "ann")
    told = OutboxMessage.objects.filter(topic="mbs.component.state.change").values_list("body", flat=True)
    assert [(body["id"], body["state"], body["state_reason"]) for body in told] == [
        (failed.pk, None, "To be built again.")
    ]
    assert ComponentBuild.objects.get(pk=done.pk).state == ComponentState.COMPLETE
