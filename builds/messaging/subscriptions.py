"""Send messages about module builds to subscribers.

Deliveries are written in the transaction of the change that they report, and sent until the subscriber
accepts them. Each subscription gets its messages in order: the oldest delivery is tried again at growing
intervals, and later ones wait. A subscription that accepts nothing for days is made inactive; its
deliveries are kept.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Min, Q

from builds.encoding import encode
from builds.messaging import webhooks
from builds.messaging.webhooks import NotDelivered
from builds.models import Delivery, OutboxMessage, Subscription, clock
from mbs.errors import MBSError
from mbs.nsvc import NSVC
from mbs.states import BuildState
from mbs.text import printable

log = logging.getLogger(__name__)

#: Topic of the messages that subscribers get.
TOPIC = "mbs.module.state.change"
_ENDED = (BuildState.READY, BuildState.FAILED)
#: Threads that send deliveries, and seconds after which a sweep leaves the rest to the next one.
_THREADS, _MAX_SECONDS = 8, 60.0
#: Seconds before the second try, and the longest pause between two tries.
_FIRST, _LAST = 30, 6 * 3600
GIVE_UP = timedelta(days=3)
_SHOWN = 1000


def add(messages: Iterable[OutboxMessage]) -> None:
    """Write deliveries of messages of one build in the current transaction, one for each subscription."""
    relevant = [message for message in messages if message.topic == TOPIC]
    if not relevant:
        return
    body = relevant[0].body
    wanted = [Q(**{key: ""}) | Q(**{key: body.get(key, "")}) for key in ("owner", "name", "stream")]
    subscriptions = Subscription.objects.filter(*wanted, active=True)
    now = clock.now()
    Delivery.objects.bulk_create(
        [
            Delivery(
                subscription=subscription,
                message_id=message.message_id,
                topic=message.topic,
                body=message.body,
                created_at=now,
                next_at=now,
            )
            for subscription in subscriptions
            for message in relevant
            if not subscription.ended_only or message.body.get("state") in _ENDED
        ]
    )


def send_due() -> dict[str, int]:
    """Send deliveries that are due, for a bounded time.

    Returns:
        How many deliveries were accepted (``sent``), and how many were not (``failed``).
    """
    sent = failed = 0
    ends = time.monotonic() + _MAX_SECONDS
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="subscribers") as threads:
        while time.monotonic() < ends and (due := _due()):
            for delivery, error in zip(due, threads.map(_try, due), strict=True):
                _record(delivery, error)
                sent, failed = sent + (error is None), failed + (error is not None)
    return {"sent": sent, "failed": failed}


def _due() -> Sequence[Delivery]:
    """Return the oldest undelivered message of each active subscription, if it is due."""
    unsent = Delivery.objects.filter(sent_at=None, subscription__active=True)
    firsts = (
        unsent.order_by().values("subscription").annotate(first=Min("pk")).values_list("first", flat=True)
    )
    rows = Delivery.objects.filter(pk__in=list(firsts), next_at__lte=clock.now())
    return list(rows.select_related("subscription").order_by("next_at")[: 4 * _THREADS])


def _try(delivery: Delivery) -> NotDelivered | None:
    """Send a delivery; return the error, or None if it was accepted."""
    send = {Subscription.Kind.MAIL: _mail}.get(Subscription.Kind(delivery.subscription.kind), _post)
    try:
        send(delivery)
    except NotDelivered as error:
        return error
    except MBSError as error:
        return NotDelivered(error.message, "invalid address")
    except Exception as error:
        log.exception("The delivery %s to %s met an unexpected error", delivery, delivery.subscription)
        return NotDelivered(f"Unexpected error: {error!r}", "unexpected error")
    return None


def _post(delivery: Delivery) -> None:
    timestamp = int(time.time())
    body = encode({"type": delivery.topic, "timestamp": delivery.created_at, "data": delivery.body})
    webhooks.post(
        delivery.subscription.address,
        delivery.subscription.secret,
        str(delivery.message_id),
        timestamp,
        body,
        private=settings.MBS.WEBHOOK_PRIVATE_HOSTS,
    )


def _mail(delivery: Delivery) -> None:
    if not settings.MBS.MAIL_SERVER:
        raise NotDelivered("No mail is sent: MAIL_SERVER is not set.", "no mail server")
    body = delivery.body
    lines = [
        f"Module build {body.get('id')} of {body.get('owner')} is {body.get('state_name')}.",
        str(body.get("state_reason") or ""),
        f"{settings.MBS.BASE_URL}/builds/{body.get('id')}",
    ]
    mail = EmailMessage(
        subject=printable(f"[MBS] {NSVC.of(body)} {body.get('state_name')}")[:200],
        body="\n".join(printable(line) for line in lines if line),
        to=[delivery.subscription.address],
        # The same for each try, so that mail programs recognize a repeated mail.
        headers={"Message-ID": f"<{delivery.message_id}@mbs>", "Auto-Submitted": "auto-generated"},
    )
    try:
        mail.send()
    except (SMTPException, OSError) as error:
        text = f"The mail server did not accept the message: {error}"
        raise NotDelivered(text, "mail not accepted") from error


def _record(delivery: Delivery, error: NotDelivered | None) -> None:
    now = clock.now()
    delivery.attempts += 1
    delivery.error = printable(error.message)[:_SHOWN] if error else ""
    if error is None:
        delivery.sent_at = now
    else:
        delivery.next_at = now + timedelta(seconds=min(_FIRST * 2 ** min(delivery.attempts - 1, 20), _LAST))
    columns = ("attempts", "error", "sent_at", "next_at")
    # Saving would fail when the subscription has been deleted meanwhile.
    Delivery.objects.filter(pk=delivery.pk).update(**{name: getattr(delivery, name) for name in columns})
    if error and delivery.created_at < now - GIVE_UP:
        reason = f"No delivery was accepted for {GIVE_UP.days} days; the last error: {error.kind}"
        Subscription.objects.filter(pk=delivery.subscription_id).update(active=False, error=reason)
        log.warning(
            "The subscription %s is made inactive: %s: %s", delivery.subscription_id, reason, delivery.error
        )
