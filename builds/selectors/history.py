"""Estimates from earlier builds."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from builds.models import ComponentBuild
from mbs.states import ComponentState


def expected_seconds(packages: Iterable[str]) -> dict[str, float]:
    """Return the seconds that this service's latest build of each package took; omit those never built."""
    finished = ComponentBuild.objects.filter(
        package__in=set(packages),
        state=ComponentState.COMPLETE,
        time_started__isnull=False,
        time_completed__isnull=False,
        reused_component=None,
    )
    newest = finished.annotate(
        place=Window(RowNumber(), partition_by=["package"], order_by=F("pk").desc())
    ).filter(place=1)
    return {
        package: (completed - started).total_seconds()
        for package, started, completed in newest.values_list("package", "time_started", "time_completed")
        if started and completed
    }
