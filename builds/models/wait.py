from __future__ import annotations

from django.db import models
from django.utils import timezone

from builds.models.component import ComponentBuild
from builds.models.module import ModuleBuild


class Wait(models.Model):
    """A parked task: its signature, to be sent again when its key is woken.

    Waking deletes nothing: the task deletes its row when it has done its work, or whatever records the end of
    its component does (``builds.dispatch.complete``). Only rows of the present run of the build count.
    """

    key = models.CharField(max_length=300)
    #: a task waits for one thing at a time; sent twice, it still has one row
    celery_task_id = models.CharField(max_length=64, unique=True)
    module_build = models.ForeignKey(ModuleBuild, on_delete=models.CASCADE, related_name="waits")
    component_build = models.ForeignKey(
        ComponentBuild, on_delete=models.CASCADE, null=True, blank=True, related_name="waits"
    )
    run = models.PositiveIntegerField()
    signature = models.JSONField()
    #: for people: what it waits for, and what will wake it
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
    """How often in a row a task did not come to its end: it failed unexpectedly, hung, or lost its worker."""

    celery_task_id = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveSmallIntegerField(default=0)
    last_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.celery_task_id}: {self.count}"
