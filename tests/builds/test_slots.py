"""Who may build: never more than the limit, no owner before the others, the longest first."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from builds import dispatch
from builds.models import ComponentBuild, ModuleBuild, Phase
from builds.services import slots
from mbs.states import BuildState, ComponentState
from tests.factories import component_build, module_build, wait


@pytest.fixture
def woken(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys that were woken."""
    keys: list[str] = []
    monkeypatch.setattr(dispatch, "_wake", lambda woken, again: keys.extend(woken))
    return keys


def building(owner: str = "ann", phase: Phase = Phase.BUILDING, **fields) -> ModuleBuild:
    return module_build(owner=owner, state=BuildState.BUILD, batch=2, phase=phase, **fields)


def parked(build: ModuleBuild, **fields) -> ComponentBuild:
    component = component_build(build, **fields)
    wait(build, component_build=component, key=f"{slots.KEY}{component.pk}")
    return component


def taken() -> int:
    return ComponentBuild.objects.filter(state=ComponentState.BUILDING).count()


def test_without_a_limit_everybody_gets_a_slot(woken: list[str], option: Callable[..., None]) -> None:
    option(NUM_CONCURRENT_BUILDS=0)
    build = building()
    asking = [component_build(build) for _ in range(7)]
    assert slots.claim(asking) == asking
    assert all(c.state == ComponentState.BUILDING and c.submitting_until for c in asking)


def test_no_more_than_the_limit_and_the_longest_first(woken: list[str], option: Callable[..., None]) -> None:
    option(NUM_CONCURRENT_BUILDS=2)
    build = building()
    short, longest, longer = (component_build(build, weight=weight) for weight in (1, 30, 20))
    assert slots.claim([short, longest, longer]) == [longest, longer]
    assert slots.claim([short]) == []
    assert taken() == 2


def test_a_slot_is_given_once(woken: list[str], option: Callable[..., None]) -> None:
    option(NUM_CONCURRENT_BUILDS=5)
    component = component_build(building())
    doubled = ComponentBuild.objects.get(pk=component.pk)
    assert slots.claim([component]) == [component]
    assert slots.claim([doubled]) == []


def test_the_owner_with_the_fewest_builds_comes_first(woken: list[str], option: Callable[..., None]) -> None:
    option(NUM_CONCURRENT_BUILDS=4)
    anns, bobs = building("ann"), building("bob")
    for _ in range(3):
        component_build(anns, state=ComponentState.BUILDING)
    mine = parked(anns, weight=99)
    theirs = parked(bobs, weight=1)
    assert slots.claim([mine]) == []
    assert woken == [f"slot:{theirs.pk}"]
    assert slots.claim([theirs]) == [theirs]


def test_a_freed_slot_wakes_the_one_that_it_belongs_to(woken: list[str], option: Callable[..., None]) -> None:
    option(NUM_CONCURRENT_BUILDS=2)
    anns, bobs = building("ann"), building("bob")
    component_build(anns, state=ComponentState.BUILDING)
    parked(anns, weight=99)
    parked(bobs, weight=1)
    longest = parked(bobs, weight=9)
    slots.wake_next()
    assert woken == [f"slot:{longest.pk}"]


def test_who_cannot_build_holds_nobody_up(woken: list[str], option: Callable[..., None]) -> None:
    option(NUM_CONCURRENT_BUILDS=1)
    component_build(building(), blocked=True, weight=99)
    component_build(building(), batch=3, weight=99)
    component_build(building(phase=Phase.TAGGING), weight=99)
    component_build(module_build(owner="ann", state=BuildState.FAILED, batch=2), weight=99)
    ready = parked(building(), weight=1)
    slots.wake_next()
    assert woken == [f"slot:{ready.pk}"]
    assert slots.claim([ready]) == [ready]


def test_one_submitter_at_a_time(woken: list[str], option: Callable[..., None]) -> None:
    option(SUBMIT_LEASE=60)
    component = component_build(building(), state=ComponentState.BUILDING)
    assert slots.lease([component]) == [component]
    assert slots.lease([ComponentBuild.objects.get(pk=component.pk)]) == []
    ComponentBuild.objects.update(submitting_until=None)
    assert slots.lease([ComponentBuild.objects.get(pk=component.pk)])
    ComponentBuild.objects.update(submitting_until=None, task_id=7)
    assert slots.lease([ComponentBuild.objects.get(pk=component.pk)]) == []
