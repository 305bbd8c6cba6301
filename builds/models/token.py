from __future__ import annotations

from django.db import models
from django.utils import timezone


class ApiToken(models.Model):
    """A token that a user made for programs; only its hash is known here.

    ``builds.services.identity.tokens`` makes and reads them.
    """

    #: the user in whose name it acts
    owner = models.CharField(max_length=255, db_index=True)
    #: of the owner when it was made; counts where they cannot be looked up any more
    groups = models.JSONField(default=list)
    name = models.CharField(max_length=100, help_text="What it is for")
    #: its first characters, so that its owner can tell it from others
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
