"""Builds that this service's own workers run, on the queue ``builds``."""

from __future__ import annotations

from celery import shared_task

from builds.services import local_builds

#: seconds: longer than any build. None would mean the limits of the steps of the workflow.
NO_LIMIT = 30 * 24 * 3600


@shared_task(name="builder.run", soft_time_limit=NO_LIMIT - 1, time_limit=NO_LIMIT)
def run(task_id: int) -> None:
    local_builds.run(task_id)
