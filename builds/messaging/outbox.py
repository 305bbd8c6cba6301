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
from django.utils import timezone

from builds.messaging.publishers import BusUnavailable, publisher
from builds.models import ModuleBuild, OutboxMessage
from builds.observing import context
from builds.observing.metrics import shared

log = logging.getLogger(__name__)

#: messages handed to the bus at once
CHUNK = 100


def add(build_id: int, messages: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Record messages ``(topic, body)`` of a build in the present transaction; they go out after commit."""
    rows = OutboxMessage.objects.bulk_create(
        [OutboxMessage(module_build_id=build_id, topic=topic, body=body) for topic, body in messages]
    )
    transaction.on_commit(lambda: shared().to_send.inc(len(rows)), robust=True)
    # Whatever becomes of them, it is no fault of who recorded the fact, nor of what is to be done next.
    transaction.on_commit(lambda: flush(build_id), robust=True)


def flush(build_id: int) -> int:
    """Publish what is in a build's outbox; answers how many messages went out.

    One publisher per build at a time, so that the order on the bus is the order of the rows. An outage
    is logged and left to the sweep.
    """
    until = _lease(build_id)
    published = 0
    try:
        while until:
            published += _publish(build_id)
            if _release_when_empty(build_id):
                break
            until = _extend(build_id, until)
    except BusUnavailable as error:
        shared().unsent.inc()
        with context.about(**context.of_number(build_id)):
            log.warning("Messages of module build %s wait for the bus: %s", build_id, error)
        ModuleBuild.objects.filter(pk=build_id, publishing_until=until).update(publishing_until=None)
    return published


def pending_builds() -> list[int]:
    """Builds whose outbox holds something that was not confirmed, and that nobody publishes now."""
    free = Q(publishing_until=None) | Q(publishing_until__lt=timezone.now())
    rows = OutboxMessage.objects.filter(published_at=None)
    return list(
        ModuleBuild.objects.filter(free, pk__in=rows.values("module_build_id")).values_list("pk", flat=True)
    )


def _lease(build_id: int) -> datetime | None:
    """Take the lease of a build when it is free; answers its end."""
    return _take(build_id, Q(publishing_until=None) | Q(publishing_until__lt=timezone.now()))


def _extend(build_id: int, until: datetime) -> datetime | None:
    """Take the lease once more; None when it ran out and is another publisher's by now."""
    return _take(build_id, Q(publishing_until=until))


def _take(build_id: int, condition: Q) -> datetime | None:
    until = timezone.now() + timedelta(seconds=settings.MBS.OUTBOX_LEASE)
    taken = ModuleBuild.objects.filter(condition, pk=build_id).update(publishing_until=until)
    return until if taken else None


def _release_when_empty(build_id: int) -> bool:
    """Give the lease back unless there is more to publish.

    One statement: whoever commits a message after this looked is blocked by the row until the lease is
    free, and takes it then.
    """
    more = OutboxMessage.objects.filter(module_build_id=OuterRef("pk"), published_at=None)
    return bool(ModuleBuild.objects.filter(~Exists(more), pk=build_id).update(publishing_until=None))


def _publish(build_id: int) -> int:
    pending = OutboxMessage.objects.filter(module_build_id=build_id, published_at=None)
    messages = list(pending.order_by("id")[:CHUNK])
    if not messages:
        return 0
    with context.about(**context.of_number(build_id)):
        confirmed = publisher().publish(messages)
    shared().sent.inc(confirmed)
    OutboxMessage.objects.filter(pk__in=[message.pk for message in messages[:confirmed]]).update(
        published_at=timezone.now()
    )
    return confirmed


def resend(messages: QuerySet[OutboxMessage]) -> int:
    """Publish messages once more, with the ids they had; answers how many.

    Those that are kept after they were published (``builds.workflow.sweeps``) can be sent again.
    """
    builds = set(messages.values_list("module_build_id", flat=True))
    count = messages.update(published_at=None)
    for build_id in builds:
        transaction.on_commit(partial(flush, build_id))
    return count
