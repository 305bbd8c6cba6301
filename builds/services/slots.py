"""Who may build now. A slot is a component in state BUILDING, so none can be leaked.

At most ``NUM_CONCURRENT_BUILDS`` components build at once over all modules (0: no limit). No owner
starves another: a free slot goes to the owner with the fewest components building, and there to the
component with the longest expected build.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from builds import dispatch
from builds.models import ComponentBuild, Lock, Phase, Wait
from mbs.states import BuildState, ComponentState

LOCK = "slots"
#: what the keys of waits for a slot begin with
KEY = "slot:"


def claim(components: Sequence[ComponentBuild]) -> list[ComponentBuild]:
    """Give slots to these components as far as there are any and it is their turn.

    Those that get one are BUILDING from then on, and the caller alone may submit them for
    ``SUBMIT_LEASE`` seconds. Others whose turn it is are woken.
    """
    if not settings.MBS.NUM_CONCURRENT_BUILDS:
        return _grant(list(components))
    with transaction.atomic():
        _lock()
        chosen = _choose(components)
        granted = _grant([component for component in components if component.pk in chosen])
        dispatch.wake(f"{KEY}{pk}" for pk in chosen - {component.pk for component in components})
    return granted


def wake_next() -> None:
    """Wake the components that the free slots belong to. Call it when one was freed."""
    if settings.MBS.NUM_CONCURRENT_BUILDS and _somebody_waits():
        dispatch.wake(f"{KEY}{pk}" for pk in _choose(()))


def lease(components: Sequence[ComponentBuild]) -> list[ComponentBuild]:
    """Let the caller alone submit those components that have a slot, no submission, and no submitter."""
    open_ = [c for c in components if c.state == ComponentState.BUILDING and c.task_id is None]
    if not open_:
        return []
    now = timezone.now()
    free = Q(submitting_until=None) | Q(submitting_until__lt=now)
    return _take(
        open_, free & Q(state=ComponentState.BUILDING, task_id=None), submitting_until=now + _lease()
    )


def _lock() -> None:
    if not Lock.objects.select_for_update().filter(name=LOCK).first():
        Lock.objects.get_or_create(name=LOCK)
        Lock.objects.select_for_update().get(name=LOCK)


def _lease() -> timedelta:
    return timedelta(seconds=settings.MBS.SUBMIT_LEASE)


def _somebody_waits() -> bool:
    return Wait.objects.filter(key__startswith=KEY).exists()


def _grant(components: list[ComponentBuild]) -> list[ComponentBuild]:
    """Mark components as BUILDING; those that are so already by another hand are left out."""
    now = timezone.now()
    return _take(
        components,
        Q(state=None),
        state=ComponentState.BUILDING,
        time_started=now,
        time_completed=None,
        submitting_until=now + _lease(),
    )


def _take(components: list[ComponentBuild], condition: Q, **fields: Any) -> list[ComponentBuild]:
    """Set fields, the time of the lease among them, where the condition still holds; answers where."""
    if not components:
        return []
    rows = ComponentBuild.objects.filter(pk__in=[component.pk for component in components])
    if rows.filter(condition).update(**fields) != len(components):
        ours = set(rows.filter(submitting_until=fields["submitting_until"]).values_list("pk", flat=True))
        components = [component for component in components if component.pk in ours]
    for component in components:
        for name, value in fields.items():
            setattr(component, name, value)
    return components


def _choose(asking: Sequence[ComponentBuild]) -> set[int]:
    """Numbers of the components that the free slots go to: all who ask, unless slots are short."""
    limit = settings.MBS.NUM_CONCURRENT_BUILDS
    everybody = {component.pk for component in asking}
    building = ComponentBuild.objects.filter(state=ComponentState.BUILDING)
    free = limit - building.count()
    if free <= 0:
        return set()
    if asking and free >= len(asking) and not _somebody_waits():
        return everybody
    load = Counter(dict(building.order_by().values_list("module_build__owner").annotate(Count("pk"))))
    queues = {
        owner: deque(_waiting(owner, free))
        for owner in _waiting().order_by().values_list("module_build__owner", flat=True).distinct()
    }
    chosen: set[int] = set()
    while free and queues:
        owner = min(queues, key=lambda name: (load[name], name))
        chosen.add(queues[owner].popleft())
        load[owner] += 1
        free -= 1
        if not queues[owner]:
            del queues[owner]
    return chosen


def _waiting(owner: str | None = None, most: int | None = None):
    """Components that could build if there were slots; of one owner: numbers, longest first."""
    rows = ComponentBuild.objects.filter(
        state=None,
        blocked=False,
        module_build__state=BuildState.BUILD,
        module_build__phase__in=(Phase.STARTING, Phase.BUILDING),
        batch=F("module_build__batch"),
    )
    if owner is None:
        return rows
    return (
        rows.filter(module_build__owner=owner).order_by("-weight", "pk").values_list("pk", flat=True)[:most]
    )
