"""Checks of components on git servers, on the queue ``checks``."""

from __future__ import annotations

from celery import shared_task

from builds.services import commits as commit_subjects
from builds.workflow import checks

#: Seconds, longer than ``scm`` takes for all components of a module.
LIMIT = 900


@shared_task(name=checks.TASK, soft_time_limit=LIMIT, time_limit=LIMIT + 60)
def components(build_id: int) -> None:
    """Check the components of a build that git did not answer for during the submission."""
    checks.check(build_id)


@shared_task(name=commit_subjects.TASK, soft_time_limit=LIMIT, time_limit=LIMIT + 60)
def commits(old_id: int, new_id: int) -> None:
    """Read the subjects of the commits between the components of two builds."""
    commit_subjects.read(old_id, new_id)
