"""Saved searches of users."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class SavedSearch(models.Model):
    """Filters of the list of builds that a user keeps under a name.

    ``builds.services.saved_searches`` writes the rows, and limits their number.
    """

    owner = models.CharField(max_length=255)
    name = models.CharField(max_length=60)
    #: The filters, as in the address of the list.
    query = models.CharField(max_length=1000)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "saved searches"
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="saved_search_of_owner"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.owner}"
