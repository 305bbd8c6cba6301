"""Predictions for running builds from rows of the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from builds.models import ModuleBuild, Phase, Sweep
from builds.selectors import predictions
from builds.selectors.forecasts import loaded
from builds.selectors.predictions import Habits, forecast, learn
from builds.selectors.slots import Load
from builds.workflow import sweeps
from mbs.states import BuildState, ComponentState
from tests.factories import component_build, module_build

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def habits(option: Callable[..., None]) -> None:
    """A service with one slot that takes no time between builds, and errs by a tenth."""
    option(NUM_CONCURRENT_BUILDS=1)
    known = Habits((0.0,), (0.0,), ratios=(0.9, 1.0, 1.1), typical=30.0, learned=True)
    cache.set("predictions:measured", known, 60)


def building(owner: str = "ann", **values: Any) -> ModuleBuild:
    values = {"state": BuildState.BUILD, "batch": 2, "batches": 3, "phase": Phase.BUILDING, **values}
    return module_build(owner=owner, **values)


def test_builds_are_ready_when_the_slots_have_served_them() -> None:
    now = timezone.now()
    first, second = building(), building()
    component_build(
        first, state=ComponentState.BUILDING, weight=100, time_started=now - timedelta(seconds=40)
    )
    component_build(first, batch=3, weight=20)
    component_build(second, weight=50)
    component_build(second, batch=1, weight=50, state=ComponentState.COMPLETE)
    found = forecast(now)
    expected = {number: (each.ready - now).total_seconds() for number, each in found.builds.items()}
    assert expected == pytest.approx({first.pk: 130.0, second.pk: 110.0}, abs=8.0)
    spread = found.builds[second.pk].spread.total_seconds()
    # 60 seconds give or take 10, then 50 give or take 5. The simulations depend on the ids of components.
    assert 9 <= spread <= 25
    assert (found.builds[second.pk].place, found.builds[second.pk].of) == (1, 1)
    assert found.builds[first.pk].place is None


def test_the_queue_is_grouped_by_owner() -> None:
    ann, bob, gone = building("ann"), building("bob"), module_build(owner="cid", state=BuildState.FAILED)
    component_build(ann, state=ComponentState.BUILDING)
    component_build(gone, state=ComponentState.BUILDING)
    component_build(gone)
    for _ in range(2):
        component_build(bob)
    component_build(bob, batch=3)
    component_build(bob, blocked=True)
    found = forecast(timezone.now())
    assert found.loads == [Load("ann", 1, 0), Load("cid", 1, 0), Load("bob", 0, 2)]
    assert (found.building, found.waiting) == (2, 2)


def test_the_place_is_that_of_the_next_component(option: Callable[..., None]) -> None:
    option(NUM_CONCURRENT_BUILDS=2)
    busy = building("zoe")
    component_build(busy, state=ComponentState.BUILDING, weight=10, time_started=timezone.now())
    ann, bob = building("ann"), building("bob")
    for weight in (50, 40):
        component_build(ann, weight=weight)
    component_build(bob, weight=5)
    found = forecast(timezone.now())
    assert found.builds[ann.pk].place == 1
    assert found.builds[bob.pk].place == 2
    assert found.builds[bob.pk].of == 3


def test_failing_and_unknown_builds_have_no_prediction() -> None:
    failing, new, finishing = (
        building(),
        module_build(state=BuildState.INIT),
        building(phase=Phase.FINALIZING),
    )
    component_build(failing, state=ComponentState.FAILED)
    component_build(failing)
    found = forecast(timezone.now())
    assert found.builds.keys() == {finishing.pk}
    assert new.pk not in found.builds


def test_a_new_service_predicts_nothing_unless_the_build_system_knows_durations() -> None:
    cache.set("predictions:measured", learn(), 60)
    build = building()
    component_build(build)
    found = forecast(timezone.now())
    assert (found.builds, found.components) == ({}, {})
    assert [(each.place, each.start) for each in found.queue] == [(1, None)]
    component_build(build, weight=20)
    assert build.pk in forecast(timezone.now()).builds


def test_too_much_is_not_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "MAX_SIMULATED", 2)
    build = building()
    for _ in range(3):
        component_build(build, weight=20)
    found = forecast(timezone.now())
    assert found.crowded
    assert not found.builds


def test_a_sweep_predicts_more_than_pages_can(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    first, second = building("ann"), building("bob")
    component_build(first, state=ComponentState.BUILDING, weight=100, time_started=now)
    for build in (first, second):
        component_build(build, weight=50)
    sweeps.run(predictions.FORECAST)
    live = forecast(now)
    assert (live.made, Sweep.objects.get(pk=predictions.FORECAST).result) == (None, {})

    monkeypatch.setattr(predictions, "MAX_SIMULATED", 2)
    sweeps.run(predictions.FORECAST)
    found = forecast(timezone.now())
    assert found.made is not None
    assert not found.crowded
    assert found.loads == live.loads
    assert [(each.place, each.package, each.owner) for each in found.queue] == [
        (each.place, each.package, each.owner) for each in live.queue
    ]
    assert {number: (each.place, each.of) for number, each in found.builds.items()} == {
        number: (each.place, each.of) for number, each in live.builds.items()
    }
    for number, each in found.builds.items():
        assert abs(each.ready - live.builds[number].ready) < timedelta(seconds=60)
    assert min(each.ready for each in forecast(now + timedelta(minutes=9)).builds.values()) >= now
    assert forecast(now + timedelta(hours=1)).crowded  # the sweep has not run for long

    monkeypatch.setattr(predictions, "MAX_PREPARED", 2)
    sweeps.run(predictions.FORECAST)
    assert forecast(timezone.now()).crowded


@pytest.mark.parametrize(
    "changes",
    [
        {"made": None},
        {"made": "2099-01-01T00:00:00+00:00"},
        {"made": "2026-01-01T00:00:00"},
        {"loads": [{"owner": "ann", "busy": 1}]},
        {"builds": ["1", "2"]},
        {"builds": {"1": ["2026-01-01T00:00:00+00:00", 10**20, None]}},
        {"queue": [{"place": 1}]},
        {"queue": None},
    ],
)
def test_a_prediction_in_another_form_is_not_used(changes: dict[str, Any]) -> None:
    now = timezone.now()
    result = {"made": now.isoformat(), "loads": [], "queue": [], "of": 0, "builds": {}}
    assert not loaded(result, now, 1).crowded
    assert loaded({**result, **changes}, now, 1).crowded
    for missing in changes:
        assert loaded({key: value for key, value in result.items() if key != missing}, now, 1).crowded


def test_a_prediction_is_used_until_the_next_one_is_due(option: Callable[..., None]) -> None:
    made = timezone.now()
    result = {"made": made.isoformat(), "loads": [], "queue": [], "of": 0, "builds": {}}
    option(POLLING_INTERVAL=1800)
    assert not loaded(result, made + timedelta(minutes=31), 1).crowded
    assert loaded(result, made + timedelta(hours=2), 1).crowded


def test_the_pace_is_learned_from_builds_that_became_ready() -> None:
    start = timezone.now()

    def at(seconds: float) -> Any:
        return start + timedelta(seconds=seconds)

    build = module_build(state=BuildState.READY, batches=2, time_completed=at(100))
    done = {"state": ComponentState.COMPLETE, "weight": 20.0}
    component_build(build, batch=1, time_started=at(0), time_completed=at(30), **done)
    component_build(build, batch=2, time_started=at(42), time_completed=at(72), **done)
    component_build(build, batch=2, time_started=at(43), time_completed=at(90), **done)
    found = learn()
    assumed = Habits()
    assert sorted(found.between) == sorted([12.0, *assumed.between])
    assert sorted(found.finish) == sorted([10.0, *assumed.finish])
    assert sorted(found.ratios) == sorted([1.5, 1.5, 2.35, *assumed.ratios])
    assert found.typical == 30.0


def test_many_measured_durations_replace_the_assumed_ones() -> None:
    start = timezone.now()
    build = module_build(state=BuildState.READY, batches=1, time_completed=start + timedelta(seconds=100))
    for number in range(250):
        end = start + timedelta(seconds=10 + number / 25)
        component_build(
            build, batch=1, state=ComponentState.COMPLETE, weight=10, time_started=start, time_completed=end
        )
    ratios = learn().ratios
    assert len(ratios) == 200
    assert list(ratios) == sorted(ratios)
    assert (ratios[0], ratios[-1]) == pytest.approx((1.05, 1.95), abs=0.01)


def test_the_pace_is_not_learned_from_imported_builds() -> None:
    start = timezone.now()
    build = module_build(state=BuildState.READY, batches=1, time_completed=start + timedelta(seconds=20))
    ended = {"time_started": start, "time_completed": start + timedelta(seconds=15)}
    component_build(build, batch=1, state=ComponentState.COMPLETE, **ended)
    for _ in range(21):
        module_build(state=BuildState.READY, batches=0, time_completed=start)
    assert learn().typical == 15.0
    assert learn().finish == tuple(sorted([5.0, *Habits().finish]))


def test_without_history_something_is_assumed() -> None:
    assert learn() == Habits()
