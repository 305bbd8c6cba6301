"""Rows of parked tasks: written with a signature that sends the very same task again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import Signature
from django.utils import timezone

from builds.models import ModuleBuild, Wait
from builds.workflow.outcomes import Park

_COLUMNS = [field for field in Wait._meta.concrete_fields if field.name not in ("id", "celery_task_id")]


def row(build_id: int, run: int, park: Park, signature: Signature | dict[str, Any], **fields: Any) -> Wait:
    """Return the row of a parked task, not saved."""
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
    """Save rows, each in the place of the one that its task has already."""
    Wait.objects.bulk_create(
        waits,
        update_conflicts=True,
        unique_fields=["celery_task_id"],
        update_fields=[field.name for field in _COLUMNS],
    )


def begin(build: ModuleBuild, park: Park, signature: Signature) -> bool:
    """Record a task that is about to be sent, unless it is recorded already; say whether it was not."""
    wait = row(build.pk, build.run, park, signature, woken_at=timezone.now())
    values = {field.attname: getattr(wait, field.attname) for field in _COLUMNS}
    return Wait.objects.get_or_create(celery_task_id=wait.celery_task_id, defaults=values)[1]
