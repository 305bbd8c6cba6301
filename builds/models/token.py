"""API tokens."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class ApiToken(models.Model):
    """A token that a user created for programs. Only its digest is stored.

    ``builds.services.auth.tokens`` creates and verifies tokens.
    """

    #: Name of the user in whose name it acts.
    owner = models.CharField(max_length=255, db_index=True)
    #: Groups of the owner when it was created, used where groups cannot be looked up without the owner.
    groups = models.JSONField(default=list)
    name = models.CharField(max_length=100, help_text="The program or purpose that the token is for.")
    #: First characters of the token, by which its owner recognises it.
    start = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} of {self.owner} ({self.start}...)"
