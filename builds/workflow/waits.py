"""Write rows of parked tasks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import Signature
from django.utils import timezone

from builds.models import ModuleBuild, Wait
from builds.workflow.outcomes import Park

_COLUMNS = [field for field in Wait._meta.concrete_fields if field.name not in ("id", "celery_task_id")]


def row(build_id: int, run: int, park: Park, signature: Signature | dict[str, Any], **fields: Any) -> Wait:
    """Return the unsaved row of a parked task, whose signature sends the same task again."""
    options = signature["options"]
    return Wait(
        celery_task_id=options["task_id"],
        module_build_id=build_id,
        run=run,
        component_build_id=park.component_id,
        key=park.key,
        signature=dict(signature),
        what=park.what[:500],
        wakes_on=park.wakes_on[:200],
        **{"created_at": timezone.now(), "woken_at": None, **fields},
    )


def store(waits: Iterable[Wait]) -> None:
    """Save rows. A row replaces the earlier row of its task."""
    Wait.objects.bulk_create(
        waits,
        update_conflicts=True,
        unique_fields=["celery_task_id"],
        update_fields=[field.name for field in _COLUMNS],
    )


def begin(build: ModuleBuild, park: Park, signature: Signature) -> bool:
    """Save the row of a task that is about to be sent; return False if the task has a row already."""
    wait = row(build.pk, build.run, park, signature, woken_at=timezone.now())
    values = {field.attname: getattr(wait, field.attname) for field in _COLUMNS}
    return Wait.objects.get_or_create(celery_task_id=wait.celery_task_id, defaults=values)[1]
