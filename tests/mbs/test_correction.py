"""Corrections of predictions by the errors of earlier ones."""

from __future__ import annotations

from random import Random

import pytest

from mbs.correction import Correction, Past, correction
from mbs.prediction import Prediction, Ready


def test_predictions_are_corrected_by_the_errors_of_earlier_ones() -> None:
    """The builds took a tenth longer than predicted, give or take a part that grows with the square root."""
    random = Random(7)
    seconds = [random.uniform(10, 1000) for _ in range(500)]
    errors = [Past(Ready(each), 1.1 * each + 3 * each**0.5 * random.gauss(0, 1)) for each in seconds]
    learned, rest = correction(errors[:250]), errors[250:]
    assert learned.factor == pytest.approx(1.1, abs=0.03)
    found = learned.applied(Prediction(dict(enumerate(each.predicted for each in rest))))
    within = [
        abs(each.actual - found.ready[n].seconds) <= found.ready[n].spread for n, each in enumerate(rest)
    ]
    assert 0.75 < sum(within) / len(within) < 0.85


def test_a_correction_applies_to_all_times_of_a_prediction() -> None:
    found = Correction(2.0, 3.0).applied(Prediction({1: Ready(9.0, 4.0)}, {2: 5.0}, {2: 7.0}))
    assert found == Prediction({1: Ready(18.0, 15.0)}, {2: 10.0}, {2: 14.0})


def test_a_few_errors_correct_nothing_and_extreme_ones_are_bounded() -> None:
    assert correction([Past(Ready(10.0), 20.0)] * 9) == Correction()
    assert correction([Past(Ready(0.0), 0.0)] * 10) == Correction(1.0, 0.0)
    assert correction([Past(Ready(1.0), 1e6)] * 10) == Correction(4.0, 20.0)
    assert correction([Past(Ready(1e6), 1.0)] * 10).factor == 0.25
