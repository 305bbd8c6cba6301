"""Decide which components may build. A component in the state BUILDING occupies a slot.

At most ``NUM_CONCURRENT_BUILDS`` components build at once (0: no limit). A free slot goes to the owner with
the fewest building components, and there to the component with the longest expected build. The code that
frees a slot also gives it to the next component.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet, Value, Window
from django.db.models.functions import Replace, RowNumber

from builds import dispatch
from builds.models import ComponentBuild, ModuleBuild, Wait, clock
from builds.models.locking import hold, locked
from builds.selectors import slots as selectors
from builds.selectors.slots import SUBMITTING
from mbs.states import BuildState, ComponentState
from mbs.wait_keys import Kind

LOCK = "slots"
#: Texts of the waits for a slot and for the end of a build, after the name of the package.
WAITS, BUILDS = "waits for a free build slot", "is being built"


def claim(build: ModuleBuild, components: Sequence[ComponentBuild]) -> list[ComponentBuild]:
    """Give free slots to these components of a build, as far as it is their turn.

    Components that get a slot become BUILDING, and for ``SUBMIT_LEASE`` seconds only the caller may submit
    them. Slots that are another build's turn go to that build.

    Returns:
        The components that got a slot; none if the build is in another run or no longer building.
    """
    return _give_slots(build, components) if components else []


def hand_out() -> None:
    """Give free slots to the components whose turn it is, and send the tasks that submit them.

    Call it when slots became free, and when a component begins to wait for one.
    """
    if settings.MBS.NUM_CONCURRENT_BUILDS and _any_waiting():
        _give_slots(None, ())


def lease(
    build: ModuleBuild, components: Iterable[ComponentBuild]
) -> tuple[list[ComponentBuild], list[ComponentBuild]]:
    """Take the free submission leases of components that have a slot but no submission.

    Returns:
        The components whose leases were taken, which only the caller may submit; and those of them that had
        no lease in this attempt, so that the build system cannot have a task for them.
    """
    open_ = [c for c in components if c.state == ComponentState.BUILDING and c.task_id is None]
    with transaction.atomic():
        return _take_leases(open_) if open_ and _lock_runs([build.pk], build) else ([], [])


def lease_to_stop(components: Sequence[ComponentBuild]) -> list[ComponentBuild]:
    """Take the free submission leases of components, so that others neither submit nor stop them.

    Returns:
        The components whose leases were taken.
    """
    with transaction.atomic():
        return _take_leases(components)[0] if components else []


def release(components: Sequence[ComponentBuild]) -> None:
    """Let the submission leases of components expire, except of those that were submitted meanwhile.

    They are not deleted, since the build system may have tasks that were not recorded. A lease that expired
    and was taken by another process stays: a third one would submit the component at the same time.
    """
    ends = {component.pk: component.submitting_until for component in components}
    with transaction.atomic():
        rows = ComponentBuild.objects.filter(pk__in=ends, task_id=None).only("pk", "submitting_until")
        mine = [row for row in locked(rows) if row.submitting_until == ends[row.pk]]
        _set_fields(components, mine, submitting_until=clock.now() - _lease())


def _take_leases(
    components: Sequence[ComponentBuild],
) -> tuple[list[ComponentBuild], list[ComponentBuild]]:
    now = clock.now()
    free = Q(submitting_until=None) | Q(submitting_until__lt=now)
    rows = ComponentBuild.objects.filter(free, state=ComponentState.BUILDING, task_id=None)
    rows = rows.filter(pk__in=[component.pk for component in components])
    # With values_list Django would lock the module builds of the condition too.
    chosen = list(locked(rows.only("pk", "submitting_until")))
    first = {component.pk for component in chosen if component.submitting_until is None}
    taken = _set_fields(components, chosen, submitting_until=now + _lease())
    return taken, [component for component in taken if component.pk in first]


def _give_slots(build: ModuleBuild | None, asking: Sequence[ComponentBuild]) -> list[ComponentBuild]:
    """Give out the free slots; return those of ``asking``, components of ``build``, that got one."""
    now, granted = clock.now(), []
    with transaction.atomic():
        turns = _choose(asking)
        runs = _lock_runs(set(turns.values()), build)
        mine = [component for component in asking if component.pk in turns]
        others = turns.keys() - {component.pk for component in asking}
        if mine and others:
            # Both are locked here in the common order; the two statements below would not keep it.
            list(locked(ComponentBuild.objects.filter(pk__in=turns)).values_list("pk"))
        if build is not None and build.pk in runs:
            rows = _unbuilt(component.pk for component in mine).only("pk")
            granted = _set_fields(mine, locked(rows), **_building_fields(now, _lease()))
        _give_to_others(others, runs, now)
    return granted


def _give_to_others(numbers: set[int], runs: Mapping[int, int], now: datetime) -> None:
    """Give slots to parked components, and send one task per build that submits them together."""
    if not numbers:
        return
    rows = _unbuilt(numbers).filter(module_build__in=runs).only("pk", "module_build_id")
    given = {component.pk: component.module_build_id for component in locked(rows)}
    ComponentBuild.objects.filter(pk__in=given).update(**_building_fields(now))
    parked = Wait.objects.filter(component_build__in=given, key__startswith=Kind.SLOT.prefix)
    Wait.objects.filter(pk__in=list(locked(parked).values_list("pk", flat=True))).update(
        key=Replace(F("key"), Value(Kind.SLOT.prefix), Value(Kind.COMPONENT.prefix)),
        what=Replace(F("what"), Value(WAITS), Value(BUILDS)),
        wakes_on="the end of the build",
    )
    for build_id in sorted(set(given.values())):
        dispatch.send("workflow.submit_given", build_id, runs[build_id])


def _lock_runs(builds: Iterable[int], own: ModuleBuild | None) -> dict[int, int]:
    """Lock the builds that submit components; return their runs, without ``own`` if its run changed."""
    rows = ModuleBuild.objects.filter(pk__in=builds, state=BuildState.BUILD, phase__in=SUBMITTING)
    if own is not None:
        rows = rows.filter(~Q(pk=own.pk) | Q(run=own.run))
    return dict(locked(rows).values_list("pk", "run"))


def _building_fields(now: datetime, lease: timedelta | None = None) -> dict[str, Any]:
    return {
        "state": ComponentState.BUILDING,
        "time_started": now,
        "time_completed": None,
        "submitting_until": now + lease if lease else None,
    }


def _set_fields(
    components: Sequence[ComponentBuild], rows: Iterable[ComponentBuild], **fields: Any
) -> list[ComponentBuild]:
    """Set fields of the components that are among these locked rows; return those."""
    numbers = {component.pk for component in rows}
    if numbers:
        ComponentBuild.objects.filter(pk__in=numbers).update(**fields)
    found = [component for component in components if component.pk in numbers]
    for component in found:
        for name, value in fields.items():
            setattr(component, name, value)
    return found


def _lease() -> timedelta:
    return timedelta(seconds=settings.MBS.SUBMIT_LEASE)


def _any_waiting() -> bool:
    return Wait.objects.filter(key__startswith=Kind.SLOT.prefix).exists()


def _unbuilt(numbers: Iterable[int] | None = None) -> QuerySet[ComponentBuild]:
    """Return the components that only lack a slot, limited to these numbers if given."""
    rows = selectors.unbuilt()
    return rows if numbers is None else rows.filter(pk__in=list(numbers))


def _choose(asking: Sequence[ComponentBuild]) -> dict[int, int]:
    """Decide which components get the free slots: all of ``asking``, unless slots are short.

    If there is a limit, this takes the lock on slots, so that no other transaction gives slots before this
    one ends.

    Returns:
        Numbers of components, with the numbers of their module builds.
    """
    all_asking = {component.pk: component.module_build_id for component in asking}
    limit = settings.MBS.NUM_CONCURRENT_BUILDS
    if not limit:
        return all_asking
    hold(LOCK)
    building = ComponentBuild.objects.filter(state=ComponentState.BUILDING).order_by()
    load = Counter(dict(building.values_list("module_build__owner").annotate(Count("pk"))))
    free = limit - load.total()
    if free <= 0:
        return {}
    if asking and free >= len(asking) and not _any_waiting():
        return all_asking
    queues: dict[str, deque[tuple[int, int]]] = defaultdict(deque)
    for owner, component, build in _waiting(free):
        queues[owner].append((component, build))
    chosen: dict[int, int] = {}
    while len(chosen) < free and queues:
        owner = min(queues, key=lambda name: (load[name], name))
        component, build = queues[owner].popleft()
        chosen[component] = build
        load[owner] += 1
        if not queues[owner]:
            del queues[owner]
    return chosen


def _waiting(most: int) -> QuerySet[ComponentBuild, tuple[str, int, int]]:
    """Return (owner, component, module build) of components that lack a slot, each owner's longest first."""
    place = Window(
        RowNumber(), partition_by=F("module_build__owner"), order_by=[F("weight").desc(), F("pk").asc()]
    )
    rows = _unbuilt().annotate(place=place).filter(place__lte=most).order_by("place")
    return rows.values_list("module_build__owner", "pk", "module_build_id")
