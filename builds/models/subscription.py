"""Subscriptions to module builds, and their deliveries."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from django.db import models
from django.utils import timezone


class Subscription(models.Model):
    """A subscription to messages about module builds, by webhook or mail.

    ``builds.messaging.subscriptions`` writes the deliveries and sends them.
    """

    class Kind(models.TextChoices):
        """The transport of deliveries."""

        WEBHOOK = "webhook", "webhook"
        MAIL = "mail", "mail"

    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.WEBHOOK)
    address = models.CharField(max_length=1000, help_text="https:// address, or mail address")
    #: signs webhooks (Standard Webhooks, "Signature scheme")
    secret = models.CharField(max_length=100, blank=True, editable=False)
    #: user who created it over the API; empty: an operator did in the admin
    subscriber = models.CharField(max_length=255, blank=True, default="", db_default="", editable=False)
    owner = models.CharField(max_length=255, blank=True, help_text="Only builds of this owner")
    name = models.CharField(max_length=255, blank=True, help_text="Only builds of this module")
    stream = models.CharField(max_length=255, blank=True, help_text="Only builds of this stream")
    ended_only = models.BooleanField(default=True, help_text="Only when a build is ready or has failed")
    active = models.BooleanField(default=True, help_text="While inactive, deliveries are kept and not sent")
    #: why it was made inactive, for its user; deliveries have the details
    error = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        # The path of a webhook may be a secret of its own.
        hook = self.kind == self.Kind.WEBHOOK
        return f"{self.kind} to {urlsplit(self.address).hostname if hook else self.address}"


class Delivery(models.Model):
    """A message for a subscription, written in the transaction of the change that it reports."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="deliveries")
    #: the same as on the bus
    message_id = models.UUIDField(default=uuid.uuid4, editable=False)
    topic = models.CharField(max_length=255)
    body = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    #: when it is tried next
    next_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    #: why the last try failed
    error = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["subscription", "message_id"], name="one_delivery_per_message")
        ]
        indexes = [
            models.Index(
                fields=["subscription", "id"],
                name="delivery_unsent",
                condition=models.Q(sent_at__isnull=True),
            ),
            models.Index(fields=["sent_at"], name="delivery_sent"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.message_id}"
