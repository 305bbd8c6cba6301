"""Create and delete subscriptions to module builds."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from builds.messaging import webhooks
from builds.models import Subscription
from builds.models.locking import hold
from builds.services import audit
from mbs.errors import Conflict, InvalidInput

#: Max subscriptions of a user: each adds a delivery to every change that it matches.
MAX_SUBSCRIPTIONS = 20
_LOCK = "subscriptions"


def check_address(kind: str, address: str) -> None:
    """Check that an address fits the kind of a subscription, and that the service may send there.

    Raises:
        InvalidInput: ``invalid_webhook``, ``invalid_mail_address``.
    """
    if kind == Subscription.Kind.WEBHOOK:
        webhooks.check_address(address, private=settings.MBS.WEBHOOK_PRIVATE_HOSTS)
        return
    try:
        validate_email(address)
    except ValidationError:
        raise InvalidInput(
            f"{address[:200]!r} is no mail address.", code="invalid_mail_address", hint="Write user@host."
        ) from None


def create(subscriber: str, kind: str, address: str, **filters: Any) -> Subscription:
    """Create a subscription. A webhook gets a secret, which only this object contains.

    Args:
        subscriber: User to whom it belongs.
        kind: ``webhook`` or ``mail``.
        address: URL or mail address.
        filters: ``owner``, ``name``, ``stream`` and ``ended_only``.

    Raises:
        InvalidInput: See ``check_address``.
        Conflict: ``too_many_subscriptions``.
    """
    check_address(kind, address)
    secret = webhooks.new_secret() if kind == Subscription.Kind.WEBHOOK else ""
    with transaction.atomic():
        hold(_LOCK)
        if Subscription.objects.filter(subscriber=subscriber).count() >= MAX_SUBSCRIPTIONS:
            raise Conflict(
                f"{subscriber} has {MAX_SUBSCRIPTIONS} subscriptions already.",
                code="too_many_subscriptions",
                hint="Delete one of them: `mbs unsubscribe ID`.",
            )
        row = Subscription.objects.create(
            subscriber=subscriber, kind=kind, address=address, secret=secret, **filters
        )
        audit.record(audit.ADDED, subscriber, subject=f"subscription {row}")
    return row


@transaction.atomic
def delete(row: Subscription, who: str) -> None:
    """Delete a subscription, with its deliveries that were not sent.

    Args:
        row: The subscription.
        who: User who deletes it, for the audit list.
    """
    audit.record(audit.DELETED, who, subject=f"subscription {row}")
    row.delete()
