"""Log messages of builds."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from builds.models.component import ComponentBuild
from builds.models.module import ModuleBuild


class LogMessage(models.Model):
    """A message for people about a module build or a component, besides the history of its states."""

    module_build = models.ForeignKey(
        ModuleBuild, on_delete=models.CASCADE, null=True, blank=True, related_name="log_messages"
    )
    component_build = models.ForeignKey(
        ComponentBuild, on_delete=models.CASCADE, null=True, blank=True, related_name="log_messages"
    )
    message = models.TextField()
    time_created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
