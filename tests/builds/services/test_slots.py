"""Slots: the limit holds, owners take turns, and the longest build of an owner comes first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from builds.models import ComponentBuild, ModuleBuild, Phase
from builds.services import slots
from mbs import wait_keys
from mbs.states import BuildState, ComponentState
from tests.factories import component_build, module_build, wait

pytestmark = pytest.mark.django_db(transaction=True)


def building(owner: str = "ann", phase: Phase = Phase.BUILDING, **fields) -> ModuleBuild:
    return module_build(owner=owner, state=BuildState.BUILD, batch=2, phase=phase, **{"run": 1, **fields})


def parked(build: ModuleBuild, **fields) -> ComponentBuild:
    component = component_build(build, **fields)
    what = f"{component.package} {slots.WAITS}"
    wait(build, component_build=component, key=wait_keys.slot(component.pk), what=what)
    return component


def is_given(component: ComponentBuild) -> bool:
    """Whether it has a slot, is not being submitted yet, and waits for its end."""
    component.refresh_from_db()
    row = component.waits.get()
    return (component.state, component.submitting_until, row.key, row.what) == (
        ComponentState.BUILDING,
        None,
        component.wait_key,
        f"{component.package} {slots.BUILDS}",
    )


def taken() -> int:
    return ComponentBuild.objects.filter(state=ComponentState.BUILDING).count()


def test_without_a_limit_everybody_gets_a_slot(sent_tasks: list[tuple], option: Callable[..., None]) -> None:
    option(NUM_CONCURRENT_BUILDS=0)
    build = building()
    asking = [component_build(build) for _ in range(7)]
    assert slots.claim(build, asking) == asking
    assert all(c.state == ComponentState.BUILDING and c.submitting_until for c in asking)


def test_no_more_than_the_limit_and_the_longest_first(
    sent_tasks: list[tuple], option: Callable[..., None]
) -> None:
    option(NUM_CONCURRENT_BUILDS=2)
    build = building()
    short, longest, longer = (component_build(build, weight=weight) for weight in (1, 30, 20))
    assert slots.claim(build, [short, longest, longer]) == [longest, longer]
    assert slots.claim(build, [short]) == []
    assert taken() == 2


def test_a_slot_is_given_once(sent_tasks: list[tuple], option: Callable[..., None]) -> None:
    option(NUM_CONCURRENT_BUILDS=5)
    component = component_build(building())
    doubled = ComponentBuild.objects.get(pk=component.pk)
    assert slots.claim(component.module_build, [component]) == [component]
    assert slots.claim(component.module_build, [doubled]) == []


def test_the_owner_with_the_fewest_builds_comes_first(
    sent_tasks: list[tuple], option: Callable[..., None]
) -> None:
    option(NUM_CONCURRENT_BUILDS=4)
    anns, bobs = building("ann"), building("bob")
    for _ in range(3):
        component_build(anns, state=ComponentState.BUILDING)
    mine = parked(anns, weight=99)
    theirs = parked(bobs, weight=1)
    assert slots.claim(anns, [mine]) == []
    assert is_given(theirs)
    assert sent_tasks == [("workflow.submit_given", bobs.pk, 1)]


def test_a_freed_slot_is_given_to_the_one_that_it_belongs_to(
    sent_tasks: list[tuple], option: Callable[..., None]
) -> None:
    option(NUM_CONCURRENT_BUILDS=2)
    anns, bobs = building("ann"), building("bob")
    component_build(anns, state=ComponentState.BUILDING)
    parked(anns, weight=99)
    parked(bobs, weight=1)
    longest = parked(bobs, weight=9)
    slots.hand_out()
    slots.hand_out()
    assert is_given(longest)
    assert sent_tasks == [("workflow.submit_given", bobs.pk, 1)]


def test_an_owner_who_cannot_build_does_not_block_others(
    sent_tasks: list[tuple], option: Callable[..., None]
) -> None:
    option(NUM_CONCURRENT_BUILDS=1)
    component_build(building(), blocked=True, weight=99)
    component_build(building(), batch=3, weight=99)
    component_build(building(phase=Phase.TAGGING), weight=99)
    component_build(module_build(owner="ann", state=BuildState.FAILED, batch=2), weight=99)
    ready = parked(building(), weight=1)
    slots.hand_out()
    assert is_given(ready)


def test_slots_that_are_freed_together_are_given_together(
    sent_tasks: list[tuple], option: Callable[..., None]
) -> None:
    option(NUM_CONCURRENT_BUILDS=20)
    builds = [building(f"owner{number}") for number in range(2)]
    waiting = [parked(build) for build in builds for _ in range(10)]
    slots.hand_out()
    assert all(is_given(component) for component in waiting)
    assert sent_tasks == [("workflow.submit_given", build.pk, 1) for build in builds]


@pytest.mark.parametrize("limit", [0, 5])
@pytest.mark.parametrize(
    "fields", [{"run": 2}, {"state": BuildState.FAILED}, {"state": BuildState.WAIT, "batch": 0}]
)
def test_a_build_that_has_moved_on_gets_no_slot(
    sent_tasks: list[tuple], option: Callable[..., None], limit: int, fields: dict
) -> None:
    """It was cancelled, or resumed as well, since the step that asks has looked at it."""
    option(NUM_CONCURRENT_BUILDS=limit)
    build = building()
    component = component_build(build)
    leased = component_build(build, state=ComponentState.BUILDING)
    ModuleBuild.objects.filter(pk=build.pk).update(**fields)
    assert slots.claim(build, [component]) == []
    assert slots.lease(build, [leased]) == ([], [])
    component.refresh_from_db()
    assert component.state is None


def test_one_submitter_at_a_time(sent_tasks: list[tuple], option: Callable[..., None]) -> None:
    option(SUBMIT_LEASE=60)
    build = building()
    component = component_build(build, state=ComponentState.BUILDING)
    assert slots.lease(build, [component]) == ([component], [component])
    again = ComponentBuild.objects.get(pk=component.pk)
    assert slots.lease(build, [again]) == ([], [])
    slots.release([again])
    # The former submitter may have submitted it.
    assert slots.lease(build, [again]) == ([again], [])
    ComponentBuild.objects.update(submitting_until=None, task_id=7)
    assert slots.lease(build, [ComponentBuild.objects.get(pk=component.pk)]) == ([], [])


def test_a_submitter_whose_lease_has_expired_leaves_that_of_another(
    sent_tasks: list[tuple], option: Callable[..., None]
) -> None:
    option(SUBMIT_LEASE=60)
    build = building()
    component = component_build(build, state=ComponentState.BUILDING)
    assert slots.lease(build, [component])[0]
    ComponentBuild.objects.update(submitting_until=component.submitting_until - timedelta(minutes=2))
    other, third = (ComponentBuild.objects.get(pk=component.pk) for _ in range(2))
    assert slots.lease(build, [other])[0]
    slots.release([component])
    assert slots.lease(build, [third]) == ([], [])
    slots.release([other])
    assert slots.lease(build, [third]) == ([third], [])
