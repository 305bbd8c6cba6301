"""Parked tasks, and counts of task crashes."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from builds.models.component import ComponentBuild
from builds.models.module import ModuleBuild


class Wait(models.Model):
    """A parked task: its Celery signature, which is sent again when its key is woken.

    Waking does not delete the row. The task deletes it when its work is done, or ``builds.dispatch.complete``
    does when the component has ended. Rows of earlier runs of the build are ignored.
    """

    key = models.CharField(max_length=300)
    #: A task waits for one thing at a time, so it has one row even if it was delivered twice.
    celery_task_id = models.CharField(max_length=64, unique=True)
    module_build = models.ForeignKey(ModuleBuild, on_delete=models.CASCADE, related_name="waits")
    component_build = models.ForeignKey(
        ComponentBuild, on_delete=models.CASCADE, null=True, blank=True, related_name="waits"
    )
    run = models.PositiveIntegerField()
    signature = models.JSONField()
    #: Text for people: the thing that it waits for. ``wakes_on`` names the event that wakes it.
    what = models.CharField(max_length=500)
    wakes_on = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)
    woken_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["key"], name="wait_key"),
            models.Index(fields=["woken_at"], name="wait_woken"),
            models.Index(fields=["created_at"], name="wait_created"),
        ]

    def __str__(self) -> str:
        return f"{self.what} ({self.key})"


class TaskCrash(models.Model):
    """The number of times in a row that a task raised an unexpected error, hung, or lost its worker."""

    celery_task_id = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveSmallIntegerField(default=0)
    last_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.celery_task_id}: {self.count}"
