"""Sweeps and named locks."""

from __future__ import annotations

from django.db import models


class Sweep(models.Model):
    """One kind of sweep. Its lease ensures that only one sweep of a kind runs at a time."""

    name = models.CharField(max_length=64, primary_key=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.name


class Lock(models.Model):
    """A row to lock for work that must not run concurrently, such as giving out slots."""

    name = models.CharField(max_length=64, primary_key=True)

    def __str__(self) -> str:
        return self.name
