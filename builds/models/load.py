"""Samples of the load, for the plots of the admin's start page."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class LoadSample(models.Model):
    """The load at one time, written by the sweep ``samples``. The sweep ``clean_up`` deletes old ones."""

    time = models.DateTimeField(default=timezone.now)
    #: Components that have a slot, and components that wait for one.
    building = models.PositiveIntegerField()
    waiting = models.PositiveIntegerField()
    #: Age in seconds of the oldest wait of a build; 0 if there is none.
    oldest_wait = models.FloatField(default=0)
    #: Messages that the bus has not confirmed.
    unpublished = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["time"], name="load_time")]

    def __str__(self) -> str:
        return f"{self.time:%F %T}: {self.building} building, {self.waiting} waiting"
