"""Calls of the build system that follow a message, on the queue ``polls``."""

from __future__ import annotations

from celery import shared_task

from builds.services import confirmation


@shared_task(name=confirmation.TASK)
def ended(component_id: int, task_id: int, tries: int) -> None:
    """Ask again about a component whose build has failed."""
    confirmation.confirm_again(component_id, task_id, tries)
