"""Correct predictions by the errors of earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, hypot, sqrt
from statistics import median

from mbs.prediction import COVERAGE, Prediction, Ready

#: Min number of measured errors to correct predictions, and limits of a correction.
_ENOUGH_ERRORS, _MIN_FACTOR, _MAX_FACTOR, _MAX_WIDTH = 10, 0.25, 4.0, 20.0


@dataclass(frozen=True)
class Past:
    """An earlier prediction, and the seconds that the build actually took from then on."""

    predicted: Ready
    actual: float


@dataclass(frozen=True)
class Correction:
    """The systematic error of predictions, and their spread, as measured with earlier builds.

    Attributes:
        factor: Actual seconds for each predicted second.
        width: Factor of the spread (``_scale``) within which ``COVERAGE`` of the earlier builds were ready.
    """

    factor: float = 1.0
    width: float = 1.0

    def applied(self, found: Prediction) -> Prediction:
        """Return the corrected prediction."""
        return Prediction(
            {
                number: Ready(self.factor * each.seconds, self.width * _scale(each))
                for number, each in found.ready.items()
            },
            {number: self.factor * seconds for number, seconds in found.starts.items()},
            {number: self.factor * seconds for number, seconds in found.ends.items()},
        )


def _scale(ready: Ready) -> float:
    """Return the expected error of a prediction, before it is multiplied by the measured width.

    It is that of its simulations, and that of pauses that they do not contain, whose variance grows with
    time: both variances are added.
    """
    return hypot(ready.spread, sqrt(max(ready.seconds, 1.0)))


def correction(errors: Sequence[Past]) -> Correction:
    """Return the correction with which earlier predictions would have been right.

    ``COVERAGE`` of the earlier builds were ready within the corrected spread (split conformal prediction).
    """
    if len(errors) < _ENOUGH_ERRORS:
        return Correction()
    ratios = [each.actual / each.predicted.seconds for each in errors if each.predicted.seconds > 0]
    factor = min(max(median(ratios or [1.0]), _MIN_FACTOR), _MAX_FACTOR)
    scores = sorted(
        abs(each.actual - factor * each.predicted.seconds) / _scale(each.predicted) for each in errors
    )
    place = min(ceil(COVERAGE * (len(scores) + 1)), len(scores)) - 1
    return Correction(factor, min(scores[place], _MAX_WIDTH))
