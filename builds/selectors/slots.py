"""Queries about slots: the components that only lack one, and the owners who have or want them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, F, QuerySet

from builds.models import ComponentBuild, Phase
from mbs.states import BuildState, ComponentState

#: Phases in which components are submitted.
SUBMITTING = (Phase.STARTING, Phase.BUILDING)


@dataclass(frozen=True)
class Load:
    """An owner's components: those that have a slot, and those that wait for one."""

    owner: str
    building: int
    waiting: int


def unbuilt() -> QuerySet[ComponentBuild]:
    """Return the components that only lack a slot."""
    return ComponentBuild.objects.filter(
        state=None,
        blocked=False,
        module_build__state=BuildState.BUILD,
        module_build__phase__in=SUBMITTING,
        batch=F("module_build__batch"),
    )


def loads() -> list[Load]:
    """Return the owners who have slots or wait for them, the busiest first, in two statements."""
    building = ComponentBuild.objects.filter(state=ComponentState.BUILDING)
    return by_owner(*(Counter(dict(_per_owner(rows))) for rows in (building, unbuilt())))


def by_owner(building: Counter[str], waiting: Counter[str]) -> list[Load]:
    """Return the loads of owners, the busiest first.

    Args:
        building: Owner -> number of components that have a slot.
        waiting: Owner -> number of components that wait for one.
    """
    owners = sorted(
        waiting.keys() | building.keys(), key=lambda name: (-building[name], -waiting[name], name)
    )
    return [Load(owner, building[owner], waiting[owner]) for owner in owners]


def _per_owner(rows: QuerySet[ComponentBuild]) -> Iterable[tuple[str, int]]:
    return rows.order_by().values_list("module_build__owner").annotate(Count("pk"))
