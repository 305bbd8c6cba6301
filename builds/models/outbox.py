"""The outbox: bus messages that are to be published."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from builds.models.module import ModuleBuild


class OutboxMessage(models.Model):
    """A bus message, written in the transaction of the change that it reports.

    A row is always published with the same ``message_id``, so consumers can recognise duplicates. Published
    rows are kept for a week, for the admin. A row that no bus can carry is set aside with the reason, and
    kept until an operator sends it again.
    """

    module_build = models.ForeignKey(ModuleBuild, on_delete=models.CASCADE, related_name="outbox")
    message_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    topic = models.CharField(max_length=255)
    body = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
    published_at = models.DateTimeField(null=True, blank=True)
    set_aside_at = models.DateTimeField(null=True, blank=True)
    #: Why it was set aside.
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["module_build", "id"],
                name="outbox_unpublished",
                condition=models.Q(published_at__isnull=True),
            ),
            models.Index(fields=["published_at"], name="outbox_published"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.message_id}"
