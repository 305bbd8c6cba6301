"""Errors of predictions, measured with recent builds, and their use in new predictions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from builds.models import ComponentBuild, ModuleBuild, Phase, Sweep
from builds.selectors import prediction_errors, predictions
from builds.selectors.prediction_errors import measure
from builds.selectors.predictions import forecast
from builds.workflow import sweeps
from mbs.correction import Correction
from mbs.states import BuildState, ComponentState
from tests.factories import component_build, module_build

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture(autouse=True)
def one_slot(option: Callable[..., None]) -> None:
    option(NUM_CONCURRENT_BUILDS=1)


def history(number: int, pause: float = 0.0) -> None:
    """Add builds of two components of 100 seconds, one after the other, with a pause before the second."""
    for place in range(number):
        begin = NOW - timedelta(hours=number - place)
        build = module_build(
            state=BuildState.READY,
            batches=1,
            time_submitted=begin,
            time_completed=begin + timedelta(seconds=200 + pause),
        )
        for start in (0.0, 100 + pause):
            built(build, begin + timedelta(seconds=start))


def built(build: ModuleBuild, start: datetime, **values: Any) -> ComponentBuild:
    values = {"batch": 1, "weight": 100.0, "state": ComponentState.COMPLETE, **values}
    return component_build(build, time_started=start, time_completed=start + timedelta(seconds=100), **values)


def test_predictions_that_were_right_need_no_correction() -> None:
    history(20)
    found = measure()
    assert found.factor == pytest.approx(1.0, abs=0.03)
    assert found.width < 1.0


def test_a_pause_that_the_simulation_does_not_know_is_learned() -> None:
    history(20, pause=80.0)
    found = measure()
    assert 1.1 < found.factor < 1.6
    assert found.width > 1.0


def test_components_of_other_builds_took_slots() -> None:
    """A component of another owner, which never built, is expected to get the slot before the second one."""
    history(20)
    alone = measure()
    for build in ModuleBuild.objects.filter(state=BuildState.READY):
        other = module_build(
            state=BuildState.FAILED,
            owner="aaa",
            time_submitted=build.time_submitted,
            time_completed=build.time_submitted + timedelta(seconds=300),
        )
        component_build(other, batch=1, weight=100.0)
    assert measure().width > alone.width + 1


def test_reused_components_and_builds_of_another_time_do_not_matter() -> None:
    history(20)
    known = measure()
    former = ComponentBuild.objects.earliest("pk")
    for build in ModuleBuild.objects.all():
        component_build(build, batch=1, state=ComponentState.COMPLETE, reused_component=former)
    later = module_build(state=BuildState.BUILD, time_submitted=NOW + timedelta(hours=1))
    component_build(later, batch=1, weight=1000.0)
    assert measure() == known


def test_without_history_nothing_is_corrected() -> None:
    assert measure() == Correction()
    module_build(state=BuildState.READY, batches=1, time_completed=NOW)
    assert measure() == Correction()


def test_the_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    history(20, pause=80.0)
    monkeypatch.setattr(prediction_errors, "MAX_STEPS", 0)
    assert measure() == Correction()
    monkeypatch.undo()
    # The components of the oldest build that is read may be missing, so it is left out.
    monkeypatch.setattr(prediction_errors, "MAX_READ", 2)
    assert measure() == Correction()


def test_predictions_use_what_the_sweep_has_measured() -> None:
    history(20, pause=80.0)
    build = module_build(state=BuildState.BUILD, batch=1, batches=1, phase=Phase.BUILDING)
    component_build(build, batch=1, weight=100.0)
    before = forecast(NOW).builds[build.pk]
    assert sweeps.run(predictions.SWEEP)
    learned = Sweep.objects.get(pk=predictions.SWEEP).result
    cache.clear()
    after = forecast(NOW).builds[build.pk]
    assert (after.ready - NOW) / (before.ready - NOW) == pytest.approx(learned["factor"])
    assert after.spread / before.spread == pytest.approx(learned["width"])


def test_a_result_of_another_version_is_not_used() -> None:
    Sweep.objects.create(name=predictions.SWEEP, result={"more": 1, "factor": 2.0})
    cache.clear()
    build = module_build(state=BuildState.BUILD, batch=1, batches=1, phase=Phase.BUILDING)
    component_build(build, batch=1, weight=100.0)
    assert build.pk in forecast(NOW).builds
