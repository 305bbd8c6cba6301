"""The audit list: who did what."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from builds.models.module import ModuleBuild


class AuditEntry(models.Model):
    """An action of a person, written in the transaction of the change if the change is one transaction.

    ``builds.services.audit`` writes entries. The sweep ``clean_up`` deletes those older than ``AUDIT_DAYS``.
    """

    class Via(models.TextChoices):
        """The interface that a person used."""

        API = "api", "API"
        PAGE = "page", "page"
        ADMIN = "admin", "admin"
        COMMAND = "command", "mbs-manager"

    time = models.DateTimeField(default=timezone.now)
    who = models.CharField(max_length=255)
    via = models.CharField(max_length=16, choices=Via.choices)
    action = models.CharField(max_length=32)
    module_build = models.ForeignKey(
        ModuleBuild, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    #: Name of the changed thing at that time, such as an N:S:V:C.
    subject = models.CharField(max_length=255, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    #: Id of the request, which log lines contain too.
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["who", "id"], name="audit_who"),
            models.Index(fields=["module_build", "id"], name="audit_build"),
            models.Index(fields=["action", "id"], name="audit_action"),
            models.Index(fields=["time"], name="audit_time"),
        ]

    def __str__(self) -> str:
        return f"{self.who} {self.action} {self.subject}"
