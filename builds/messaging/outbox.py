"""Write messages with the facts they tell; publish them after commit, in order, until confirmed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from builds.messaging.publishers import BusUnavailable, Unpublishable, publisher
from builds.models import ModuleBuild, OutboxMessage, clock
from builds.observability import log_context
from builds.observability.metrics import service_metrics

log = logging.getLogger(__name__)

#: messages handed to the bus at once
CHUNK = 100


def add(build_id: int, messages: Iterable[tuple[str, dict[str, Any]]], *, locked: bool = False) -> None:
    """Record messages ``(topic, body)`` of a build in the present transaction; they go out after commit.

    The row of the build is locked until then, so that the order of the rows is the order of the commits.

    :param locked: the transaction has that lock already, by an update of the row for instance.
    """
    if not locked:
        list(ModuleBuild.objects.select_for_update(no_key=True).filter(pk=build_id).values_list("pk"))
    now = clock.now()
    rows = OutboxMessage.objects.bulk_create(
        [
            OutboxMessage(module_build_id=build_id, topic=topic, body=body, created_at=now)
            for topic, body in messages
        ]
    )
    transaction.on_commit(lambda: service_metrics().to_send.inc(len(rows)), robust=True)
    # Whatever becomes of them, it is no fault of who recorded the fact, nor of what is to be done next.
    transaction.on_commit(lambda: flush(build_id), robust=True)


def flush(build_id: int) -> int:
    """Publish what is in a build's outbox; answers how many messages went out.

    One publisher per build at a time, so that the order on the bus is the order of the rows. An outage
    is logged and left to the sweep. A message that cannot be published at all is set aside.
    """
    if not publisher().ready():
        return 0
    until = _lease(build_id)
    published = 0
    try:
        while until:
            published += _publish(build_id)
            if _release_when_empty(build_id):
                break
            until = _extend(build_id, until)
    except BusUnavailable as error:
        service_metrics().unsent.inc()
        with log_context.bound(**log_context.of_build_id(build_id)):
            log.warning("Messages of module build %s wait for the bus: %s", build_id, error)
        _release(build_id, until)
    except Exception:
        _release(build_id, until)
        raise
    return published


def pending_builds() -> list[int]:
    """Builds whose outbox holds something that was not confirmed, and that nobody publishes now."""
    free = Q(publishing_until=None) | Q(publishing_until__lt=clock.now())
    return list(
        ModuleBuild.objects.filter(free, pk__in=unconfirmed().values("module_build_id")).values_list(
            "pk", flat=True
        )
    )


def unconfirmed() -> QuerySet[OutboxMessage]:
    """Messages that are still to be published."""
    return OutboxMessage.objects.filter(published_at=None, set_aside_at=None)


def set_aside() -> QuerySet[OutboxMessage]:
    """Messages that cannot be published; an operator may send them again."""
    return OutboxMessage.objects.filter(published_at=None).exclude(set_aside_at=None)


def _lease(build_id: int) -> datetime | None:
    """Take the lease of a build when it is free; answers its end."""
    return _take(build_id, Q(publishing_until=None) | Q(publishing_until__lt=clock.now()))


def _extend(build_id: int, until: datetime) -> datetime | None:
    """Take the lease once more; None when it ran out and is another publisher's by now."""
    return _take(build_id, Q(publishing_until=until))


def _take(build_id: int, condition: Q) -> datetime | None:
    until = clock.now() + timedelta(seconds=settings.MBS.OUTBOX_LEASE)
    taken = ModuleBuild.objects.filter(condition, pk=build_id).update(publishing_until=until)
    return until if taken else None


def _release(build_id: int, until: datetime | None) -> None:
    ModuleBuild.objects.filter(pk=build_id, publishing_until=until).update(publishing_until=None)


def _release_when_empty(build_id: int) -> bool:
    """Give the lease back unless there is more to publish.

    One statement: whoever commits a message after this looked is blocked by the row until the lease is
    free, and takes it then.
    """
    more = unconfirmed().filter(module_build_id=OuterRef("pk"))
    return bool(ModuleBuild.objects.filter(~Exists(more), pk=build_id).update(publishing_until=None))


def _publish(build_id: int) -> int:
    messages = list(unconfirmed().filter(module_build_id=build_id).order_by("id")[:CHUNK])
    if not messages:
        return 0
    with log_context.bound(**log_context.of_build_id(build_id)):
        try:
            confirmed = publisher().publish(messages)
        except Unpublishable as error:
            _set_aside(messages[0], error)
            return 0
    service_metrics().sent.inc(confirmed)
    OutboxMessage.objects.filter(pk__in=[message.pk for message in messages[:confirmed]]).update(
        published_at=clock.now()
    )
    return confirmed


def _set_aside(message: OutboxMessage, error: Unpublishable) -> None:
    """Pass over a message, so that those behind it go out."""
    log.error("Message %s cannot be published and is set aside: %s", message, error.message)
    service_metrics().unsent.inc()
    OutboxMessage.objects.filter(pk=message.pk).update(set_aside_at=clock.now(), error=error.message[:1000])


def resend(messages: QuerySet[OutboxMessage]) -> int:
    """Publish messages once more, with the ids they had; answers how many.

    Those that are kept after they were published (``builds.workflow.sweeps``), and those that were set
    aside, can be sent again.
    """
    builds = set(messages.values_list("module_build_id", flat=True))
    count = messages.update(published_at=None, set_aside_at=None, error="")
    for build_id in builds:
        transaction.on_commit(partial(flush, build_id))
    return count
