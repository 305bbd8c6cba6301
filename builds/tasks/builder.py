"""Builds that this service's own workers run, on the queue ``builds``."""

from __future__ import annotations

from celery import shared_task

from builds.services import builder


@shared_task(name="builder.run", soft_time_limit=None, time_limit=None)
def run(task_id: int) -> None:
    builder.run(task_id)
