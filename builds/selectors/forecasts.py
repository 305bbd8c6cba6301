"""Predictions for all active builds, and their form as JSON, in which a sweep stores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from builds.selectors.slots import Load

#: Max components that pages simulate in each request. With more, a sweep makes the prediction.
MAX_SIMULATED = 2000
#: Max components that the sweep simulates.
MAX_PREPARED = 50_000
#: A stored prediction is used for ten minutes, and at least until three more runs of the sweep were due.
_MAX_AGE, _MAX_INTERVALS = timedelta(minutes=10), 3
#: Shown instead of a prediction.
TOO_MANY = (
    f"There is no prediction: more than {MAX_SIMULATED} components are active. "
    f"With up to {MAX_PREPARED}, the sweep 'forecast' makes a prediction at regular intervals."
)


@dataclass(frozen=True)
class Expected:
    """The prediction for a build.

    Attributes:
        ready: When the build will be ready.
        spread: Estimated error of ``ready``: of recent builds, 80 % were ready within it (``COVERAGE``).
        place: Position of its next component in the queue for slots, from 1; None if none of them waits.
        of: Length of the queue for slots.
    """

    ready: datetime
    spread: timedelta
    place: int | None
    of: int


@dataclass(frozen=True)
class Waiting:
    """A component in the queue for slots.

    Attributes:
        place: Its position, from 1.
        package: Name of its package.
        build_id: Id of its module build.
        owner: Owner of the build.
        start: When it is expected to get a slot; None if that is not known.
    """

    place: int
    package: str
    build_id: int
    owner: str
    start: datetime | None


@dataclass(frozen=True)
class Forecast:
    """The predictions for all active builds.

    Attributes:
        now: When the prediction was made.
        slots: Number of components that may build at once; 0 for no limit.
        loads: Owners with active components, the busiest first.
        builds: Id of a build -> its prediction.
        components: Id of a component -> when it is expected to start and to end.
        queue: The components that get the next slots, in this order, at most ``MAX_NEXT``.
        crowded: Whether there is no prediction because too many components are active.
        made: When a sweep made the prediction; None if it was made for this page. It does not contain the
            times of components.
    """

    now: datetime
    slots: int = 0
    loads: Sequence[Load] = ()
    builds: Mapping[int, Expected] = field(default_factory=dict)
    components: Mapping[int, tuple[datetime, datetime]] = field(default_factory=dict)
    queue: Sequence[Waiting] = ()
    crowded: bool = False
    made: datetime | None = None

    @property
    def building(self) -> int:
        """Return how many components have a slot."""
        return sum(load.building for load in self.loads)

    @property
    def waiting(self) -> int:
        """Return how many components wait for a slot."""
        return sum(load.waiting for load in self.loads)


def stored(found: Forecast) -> dict[str, Any]:
    """Return a forecast as JSON, without the times of components."""
    return {
        "made": found.now.isoformat(),
        "loads": [asdict(each) for each in found.loads],
        "queue": [{**asdict(each), "start": each.start and each.start.isoformat()} for each in found.queue],
        "of": next((each.of for each in found.builds.values()), 0),
        "builds": {
            number: [each.ready.isoformat(timespec="seconds"), each.spread.total_seconds(), each.place]
            for number, each in found.builds.items()
        },
    }


def loaded(result: Mapping[str, Any], now: datetime, slots: int) -> Forecast:
    """Return a stored forecast.

    It is a crowded one if there is none, only an old one, one of the future (a clock was wrong), or one that
    another version of this service stored in another form.
    """
    none = Forecast(now, slots, crowded=True)
    longest = max(_MAX_AGE, _MAX_INTERVALS * timedelta(seconds=settings.MBS.POLLING_INTERVAL))
    try:
        made = datetime.fromisoformat(result["made"])
        return none if abs(now - made) > longest else _loaded(result, made, now, slots)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return none


def _loaded(result: Mapping[str, Any], made: datetime, now: datetime, slots: int) -> Forecast:
    return Forecast(
        now,
        slots,
        loads=[Load(**each) for each in result["loads"]],
        builds={
            int(number): Expected(
                max(datetime.fromisoformat(ready), now), timedelta(seconds=spread), place, result["of"]
            )
            for number, (ready, spread, place) in result["builds"].items()
        },
        queue=[
            Waiting(**{**each, "start": each["start"] and datetime.fromisoformat(each["start"])})
            for each in result["queue"]
        ],
        made=made,
    )
