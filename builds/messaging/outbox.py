"""Write bus messages in the transaction of a change; publish them after commit, in order, until confirmed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.lookups import Exact

from builds.messaging import subscriptions
from builds.messaging.publishers import BusUnavailable, Unpublishable, publisher
from builds.models import ModuleBuild, OutboxMessage, clock
from builds.observability import log_context
from builds.observability.metrics import service_metrics

log = logging.getLogger(__name__)

#: Messages given to the publisher at once.
CHUNK = 100


def add(build_id: int, messages: Iterable[tuple[str, Mapping[str, object]]], *, locked: bool = False) -> None:
    """Write messages of a build in the current transaction, and publish them after it is committed.

    The build is locked until then, so that messages are in the order of the commits.

    Args:
        build_id: Number of the module build.
        messages: Pairs of topic and body.
        locked: Whether the transaction has locked the build already, for example by updating it.
    """
    messages = list(messages)
    if not messages:
        return
    if not locked:
        _lock(build_id)
    now = clock.now()
    rows = OutboxMessage.objects.bulk_create(
        [
            OutboxMessage(module_build_id=build_id, topic=topic, body=body, created_at=now)
            for topic, body in messages
        ]
    )
    subscriptions.add(rows)
    transaction.on_commit(lambda: service_metrics().to_send.inc(len(rows)), robust=True)
    # Robust: an error of publishing must not reach the caller or stop the next callbacks.
    transaction.on_commit(lambda: flush(build_id, rows), robust=True)


def flush(build_id: int, written: Sequence[OutboxMessage] = ()) -> int:
    """Publish the outbox of a build.

    A lease allows one publisher per build at a time, which keeps messages in the order of the rows. An
    outage is logged, and a sweep publishes later. A message that can never be published is set aside.

    Args:
        build_id: Number of the module build.
        written: Messages that the caller has just written, which are not read again if they come next.

    Returns:
        How many messages were published.
    """
    if not publisher().ready():
        return 0
    until = _lease_before(build_id, written[0]) if 0 < len(written) <= CHUNK else None
    if not until:
        until, written = _lease(build_id), ()
    published = 0
    try:
        while until:
            messages, result = _publish(build_id, written)
            written = ()
            # One transaction: a process that dies in between would leave a lease that no sweep releases.
            with transaction.atomic():
                # This statement waits for a transaction that writes a message, so the next ones see it.
                _lock(build_id)
                OutboxMessage.objects.filter(pk__in=[message.pk for message in messages]).update(**result)
                released = _release_when_empty(build_id, until)
            published += len(messages) if "published_at" in result else 0
            until = None if released else _extend(build_id, until)
    except BusUnavailable as error:
        service_metrics().unsent.inc()
        with log_context.bound(**log_context.of_build_id(build_id)):
            log.warning("Messages of module build %s are not published yet: %s", build_id, error)
        _release(build_id, until)
    except Exception:
        _release(build_id, until)
        raise
    return published


def pending_builds() -> list[int]:
    """Return the numbers of builds that have unconfirmed messages and no publisher at this moment."""
    free = Q(publishing_until=None) | Q(publishing_until__lt=clock.now())
    return list(
        ModuleBuild.objects.filter(free, pk__in=unconfirmed().values("module_build_id")).values_list(
            "pk", flat=True
        )
    )


def unconfirmed() -> QuerySet[OutboxMessage]:
    """Return the messages that are still to be published."""
    return OutboxMessage.objects.filter(published_at=None, set_aside_at=None)


def set_aside() -> QuerySet[OutboxMessage]:
    """Return the messages that could not be published; an operator may send them again."""
    return OutboxMessage.objects.filter(published_at=None).exclude(set_aside_at=None)


def _lease(build_id: int) -> datetime | None:
    """Take the lease of a build if it is free and there are unconfirmed messages; return its end."""
    free = Q(publishing_until=None) | Q(publishing_until__lt=clock.now())
    return _take(build_id, free & Q(Exists(unconfirmed().filter(module_build_id=OuterRef("pk")))))


def _lease_before(build_id: int, message: OutboxMessage) -> datetime | None:
    """Take the lease of a build if it is free and this is its oldest unconfirmed message."""
    oldest = unconfirmed().filter(module_build_id=OuterRef("pk")).order_by("pk").values("pk")[:1]
    return _take(build_id, Q(publishing_until=None) & Q(Exact(Subquery(oldest), message.pk)))


def _extend(build_id: int, until: datetime) -> datetime | None:
    """Extend the lease; return None if it expired and another publisher has taken it."""
    return _take(build_id, Q(publishing_until=until))


def _take(build_id: int, condition: Q) -> datetime | None:
    until = clock.now() + timedelta(seconds=settings.MBS.OUTBOX_LEASE)
    taken = ModuleBuild.objects.filter(condition, pk=build_id).update(publishing_until=until)
    return until if taken else None


def _release(build_id: int, until: datetime | None) -> None:
    ModuleBuild.objects.filter(pk=build_id, publishing_until=until).update(publishing_until=None)


def _lock(build_id: int) -> None:
    """Lock a build until the current transaction ends, as each transaction does that writes its messages."""
    list(ModuleBuild.objects.select_for_update(no_key=True).filter(pk=build_id).values_list("pk"))


def _release_when_empty(build_id: int, until: datetime) -> bool:
    """Release the lease if it is still held and there are no more messages; return whether it was released.

    The current transaction has locked the build: a transaction that writes a message waits for it, finds the
    lease free when it is committed, and publishes.
    """
    more = unconfirmed().filter(module_build_id=OuterRef("pk"))
    rows = ModuleBuild.objects.filter(~Exists(more), pk=build_id, publishing_until=until)
    return bool(rows.update(publishing_until=None))


def _publish(build_id: int, written: Sequence[OutboxMessage]) -> tuple[list[OutboxMessage], dict[str, Any]]:
    """Publish messages of a build.

    Args:
        build_id: Number of the module build.
        written: The oldest unconfirmed messages, if the caller knows them.

    Returns:
        The messages whose publishing has ended, and the fields to record for them.
    """
    messages = list(written or unconfirmed().filter(module_build_id=build_id).order_by("id")[:CHUNK])
    with log_context.bound(**log_context.of_build_id(build_id)):
        try:
            confirmed = publisher().publish(messages) if messages else 0
        except Unpublishable as error:
            # It is excluded from publishing, so that the following messages are published.
            log.error("Message %s cannot be published and is set aside: %s", messages[0], error.message)
            service_metrics().unsent.inc()
            return messages[:1], {"set_aside_at": clock.now(), "error": error.message[:1000]}
    service_metrics().sent.inc(confirmed)
    return messages[:confirmed], {"published_at": clock.now()}


def resend(messages: QuerySet[OutboxMessage]) -> int:
    """Publish messages again, with the same message ids.

    Args:
        messages: Published messages, which are kept for some time, or messages that were set aside.

    Returns:
        How many there are.
    """
    builds = set(messages.values_list("module_build_id", flat=True))
    count = messages.update(published_at=None, set_aside_at=None, error="")
    for build_id in builds:
        transaction.on_commit(partial(flush, build_id))
    return count
