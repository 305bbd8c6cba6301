"""Builds that run on workers of this service, on the queue ``builds``."""

from __future__ import annotations

from celery import shared_task

from builds.services import local_builds

#: Seconds, longer than any build. None would mean the default limits, those of workflow steps.
NO_LIMIT = 30 * 24 * 3600


@shared_task(name="builder.run", soft_time_limit=NO_LIMIT - 1, time_limit=NO_LIMIT)
def run(task_id: int) -> None:
    """Run a submitted build to its end."""
    local_builds.run(task_id)
