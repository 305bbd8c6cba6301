"""The outbox: every message once its fact is committed, in order, whatever the bus does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from builds.messaging import outbox
from builds.messaging.publishers import BusUnavailable
from builds.models import OutboxMessage
from tests import factories


class Bus:
    """A bus that takes a number of messages and then none."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.room = 10**9

    def publish(self, messages) -> int:
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


def test_a_transaction_that_is_rolled_back_tells_nothing(build, bus):
    with transaction.atomic():
        outbox.add(build.pk, [("a", {})])
        transaction.set_rollback(True)
    assert bus.taken == []
    assert not OutboxMessage.objects.exists()


def test_what_an_outage_kept_back_goes_out_first_and_in_order(build, bus):
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


def test_a_publisher_that_was_overtaken_leaves_the_rest_to_the_other(build, bus, monkeypatch):
    monkeypatch.setattr(outbox, "CHUNK", 1)
    take = bus.publish
    other = timezone.now() + timedelta(seconds=60)

    def slow(messages) -> int:
        type(build).objects.filter(pk=build.pk).update(publishing_until=other)
        return take(messages)

    bus.publish = slow
    add(build, "a", "b")
    assert bus.taken == ["a"]
    build.refresh_from_db()
    assert build.publishing_until == other


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
