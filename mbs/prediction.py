"""Predict when module builds will be ready, by simulating the slots with expected durations of components.

The simulation follows the rule of the service (``builds.services.slots``): a free slot goes to the owner
with the fewest components building, and among this owner's components to the one with the longest
expected build. A batch starts when all components of the previous batch are built, tagged and in a
repository.

The end of a batch is that of its slowest component, and a slot that gets free early changes the order of
all later components. So the errors of components cannot be added up: the simulation is repeated with other
durations, and the error of a build is read from the results.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import ceil, inf, log1p
from random import Random
from statistics import median

#: Part of the builds that are to be ready within the spread.
COVERAGE = 0.8
#: Max simulations of a prediction, and max components in all of them together: 30 ms (see ``runs_for``).
MAX_RUNS, MAX_STEPS = 60, 2000
#: Measured ratios that each simulation uses: components of a build, and builds of an hour, deviate together.
_DRAWN = 20
#: Multiples of the golden ratio, modulo 1, are evenly spread.
_GOLDEN = 0.618033988749895
#: Expected rest of a component that exceeds all possible durations, as a fraction of the time passed.
_OVERDUE = 0.25


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration that is not known exactly.

    Attributes:
        seconds: Expected seconds.
        ratios: Equally likely ratios of the actual duration to ``seconds``, in ascending order.
    """

    seconds: float
    ratios: Sequence[float] = (1.0,)

    def rest(self, ratios: Sequence[float], chance: float, passed: float | None) -> float:
        """Return how much longer it may take.

        Args:
            ratios: The possible ratios in this simulation.
            chance: Position among the possible durations: at least 0, less than 1.
            passed: Seconds since it began; None if it has not begun.
        """
        if passed is None:
            return self.seconds * _choice(ratios, chance)
        longer = bisect_right(ratios, passed / self.seconds) if self.seconds else len(ratios)
        if longer < len(ratios):
            return self.seconds * _choice(ratios, chance, longer) - passed
        return -_OVERDUE * passed * log1p(-chance)


def _choice(values: Sequence[float], chance: float, first: int = 0) -> float:
    return values[first + int(chance * (len(values) - first))]


@dataclass(frozen=True, slots=True)
class Task:
    """A component that has not ended.

    Attributes:
        id: Id of the component; if two are expected to take equally long, the lower id is first.
        package: Name of the package.
        batch: Number of its batch.
        duration: Expected duration of its build.
        building: Seconds since it started to build; None if it has not started.
        after: Packages of the same batch that must be in the buildroot first.
    """

    id: int
    package: str
    batch: int
    duration: Duration
    building: float | None = None
    after: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Build:
    """A module build that has not ended.

    Attributes:
        id: Id of the build.
        owner: User who submitted it.
        batch: Number of the current batch; 0 before the first.
        tasks: Its components that have not ended.
        fails: Whether a component has failed, so that no other component starts.
    """

    id: int
    owner: str
    batch: int
    tasks: Sequence[Task]
    fails: bool = False


@dataclass(frozen=True)
class Pace:
    """The speed of the service.

    Attributes:
        slots: Number of components that may build at once; 0 for no limit.
        between: Equally likely seconds from the last end of a batch to the first start of the next.
        finish: Equally likely seconds from the end of the last component to the end of the build.
    """

    slots: int
    between: Sequence[float] = (0.0,)
    finish: Sequence[float] = (0.0,)


@dataclass(frozen=True)
class Ready:
    """The predicted end of a build.

    Attributes:
        seconds: Seconds from now: half of the simulations end earlier.
        spread: ``COVERAGE`` of the simulations end within this many seconds of ``seconds``.
    """

    seconds: float
    spread: float = 0.0


@dataclass
class Prediction:
    """The predicted times, in seconds from now.

    Attributes:
        ready: Id of a build -> when it is ready. Failing builds are missing.
        starts: Id of a component -> when it starts. Components that have started are missing.
        ends: Id of a component -> when it ends.
    """

    ready: dict[int, Ready] = field(default_factory=dict)
    starts: dict[int, float] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)


def predict(builds: Sequence[Build], pace: Pace, most: int = MAX_RUNS, steps: int = MAX_STEPS) -> Prediction:
    """Simulate all builds to their ends, several times with other durations, and return medians.

    Args:
        builds: The builds that have not ended, in any order.
        pace: The speed of the service.
        most: Max number of simulations.
        steps: Max components in all simulations together.

    Returns:
        The predicted times. Components in a circle of ``after`` never start.
    """
    builds = sorted(builds, key=lambda build: build.id)
    tasks = [task for build in builds for task in build.tasks]
    runs = min(runs_for(len(tasks), steps), most)
    chances = {task.id: _chances(task.id, runs) for task in tasks}
    found = []
    for run in range(runs):
        random = Random(run)  # noqa: S311  (a simulation, not a secret)
        own = {number: some[run] for number, some in chances.items()}
        found.append(_Simulation(builds, pace, own, random).run())
    if runs == 1:
        (only,) = found
        return Prediction({number: Ready(end) for number, end in only.ready.items()}, only.starts, only.ends)
    return Prediction(
        {number: _ready([each.ready[number] for each in found]) for number in found[0].ready},
        {number: median([each.starts[number] for each in found]) for number in found[0].starts},
        {number: median([each.ends[number] for each in found]) for number in found[0].ends},
    )


def runs_for(tasks: int, steps: int = MAX_STEPS) -> int:
    """Return how often this many components are simulated, which takes a bounded time."""
    return max(1, min(MAX_RUNS, steps // max(tasks, 1)))


def _chances(number: int, runs: int) -> list[float]:
    """Return a chance for each run, evenly spread, in an order that depends on the component alone.

    So a prediction changes only if the builds do, and few runs cover the possible durations.
    """
    if runs == 1:
        return [number * _GOLDEN % 1]  # evenly spread, without a generator for each of thousands
    chances = [(run + 0.5) / runs for run in range(runs)]
    Random(number).shuffle(chances)  # noqa: S311  (a simulation, not a secret)
    return chances


def _ready(seconds: Sequence[float]) -> Ready:
    middle = median(seconds)
    errors = sorted(abs(each - middle) for each in seconds)
    # One more than the number of simulations: the build itself is as likely to be at any place among them.
    place = ceil(COVERAGE * (len(errors) + 1))
    return Ready(middle, errors[min(place, len(errors)) - 1])


@dataclass
class _Times:
    ready: dict[int, float] = field(default_factory=dict)
    starts: dict[int, float] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)


class _Simulation:
    def __init__(
        self, builds: Sequence[Build], pace: Pace, chances: Mapping[int, float], random: Random
    ) -> None:
        self._pace, self._chances, self._random = pace, chances, random
        #: id of the ratios of durations -> those that are possible in this simulation
        self._drawn: dict[int, Sequence[float]] = {}
        self._free = pace.slots or inf
        self._found = _Times()
        self._order = count()
        #: (time, order, build, task that ends or tasks that may start)
        self._events: list[tuple[float, int, _Progress, Task | Sequence[Task]]] = []
        self._load = Counter[str]()
        #: owner -> heap of (-seconds, id, build, task), for components that may start
        self._queues: dict[str, list[tuple[float, int, _Progress, Task]]] = {}
        #: (components building, owner) of owners with components that may start; outdated entries are skipped
        self._turns: list[tuple[int, str]] = []
        for build in builds:
            self._begin(_Progress(build))

    def _begin(self, progress: _Progress) -> None:
        for task in progress.started:
            self._free -= 1
            self._load[progress.owner] += 1
            self._ends(progress, task, 0.0)
        if progress.fails:
            return
        if progress.open:
            self._push(0.0, progress, progress.unblocked())
        else:
            self._next_batch(progress, 0.0)

    def run(self) -> _Times:
        self._give(0.0)
        while self._events:
            time, _, progress, what = heapq.heappop(self._events)
            if isinstance(what, Task):
                self._end(progress, what, time)
            else:
                self._enqueue(progress, what)
            if not self._events or self._events[0][0] > time:
                self._give(time)
        return self._found

    def _push(self, time: float, progress: _Progress, what: Task | Sequence[Task]) -> None:
        if what:
            heapq.heappush(self._events, (time, next(self._order), progress, what))

    def _ends(self, progress: _Progress, task: Task, time: float) -> None:
        ratios = self._ratios(task.duration.ratios)
        end = time + task.duration.rest(ratios, self._chances[task.id], task.building)
        self._found.ends[task.id] = end
        self._push(end, progress, task)

    def _end(self, progress: _Progress, task: Task, time: float) -> None:
        self._free += 1
        self._load[progress.owner] -= 1
        self._turn(progress.owner)
        progress.ended(task)
        if progress.fails:
            return
        if progress.open:
            self._push(time + self._pause(self._pace.between), progress, progress.unblocked())
        else:
            self._next_batch(progress, time)

    def _next_batch(self, progress: _Progress, time: float) -> None:
        time += self._pause(self._pace.between if progress.advance() else self._pace.finish)
        if progress.open:
            self._push(time, progress, progress.unblocked())
        else:
            self._found.ready[progress.id] = time

    def _ratios(self, measured: Sequence[float]) -> Sequence[float]:
        """Return the ratios of this simulation: some of the measured ones, since all builds may be slower."""
        found = self._drawn.get(id(measured))
        if found is None:
            found = sorted(self._random.choices(measured, k=_DRAWN))
            self._drawn[id(measured)] = found
        return found

    def _pause(self, seconds: Sequence[float]) -> float:
        return _choice(seconds, self._random.random())

    def _enqueue(self, progress: _Progress, tasks: Sequence[Task]) -> None:
        queue = self._queues.setdefault(progress.owner, [])
        for task in tasks:
            heapq.heappush(queue, (-task.duration.seconds, task.id, progress, task))
        self._turn(progress.owner)

    def _turn(self, owner: str) -> None:
        if self._queues.get(owner):
            heapq.heappush(self._turns, (self._load[owner], owner))

    def _give(self, time: float) -> None:
        while self._free > 0 and self._turns:
            load, owner = heapq.heappop(self._turns)
            queue = self._queues[owner]
            if load != self._load[owner] or not queue:
                continue
            _, _, progress, task = heapq.heappop(queue)
            self._free -= 1
            self._load[owner] += 1
            self._found.starts[task.id] = time
            self._ends(progress, task, time)
            self._turn(owner)


class _Progress:
    """The progress of a build in the simulation."""

    def __init__(self, build: Build) -> None:
        self.id, self.owner, self.fails = build.id, build.owner, build.fails
        self.started = [task for task in build.tasks if task.building is not None]
        self._waiting: dict[int, dict[str, Task]] = {}
        for task in sorted(build.tasks, key=lambda task: task.id):
            if task.building is None:
                self._waiting.setdefault(task.batch, {})[task.package] = task
        self._running = {task.id: task for task in self.started}
        self._batch = max([build.batch, *(task.batch for task in self.started)])
        self._enter()

    def _enter(self) -> None:
        """Note which components of the batch at hand wait for which others: each is looked at once."""
        waiting = self._waiting.get(self._batch, {})
        there = waiting.keys() | {task.package for task in self._running.values()}
        self._unblocked: list[Task] = []
        #: component -> how many others it waits for
        self._missing: dict[int, int] = {}
        #: package -> components that wait for it
        self._behind: dict[str, list[Task]] = {}
        for task in waiting.values():
            before = task.after & there
            self._missing[task.id] = len(before)
            if not before:
                self._unblocked.append(task)
            for package in before:
                self._behind.setdefault(package, []).append(task)

    @property
    def open(self) -> bool:
        """Return whether the current batch has components that have not ended."""
        return bool(self._running or self._waiting.get(self._batch))

    def unblocked(self) -> list[Task]:
        """Remove and return the components of the current batch that may start."""
        found, self._unblocked = self._unblocked, []
        for task in found:
            del self._waiting[self._batch][task.package]
            self._running[task.id] = task
        return found

    def ended(self, task: Task) -> None:
        """Record that a component is built."""
        del self._running[task.id]
        for each in self._behind.pop(task.package, ()):
            self._missing[each.id] -= 1
            if not self._missing[each.id]:
                self._unblocked.append(each)

    def advance(self) -> bool:
        """Start the next batch; return whether there is one."""
        left = [number for number, tasks in self._waiting.items() if tasks and number > self._batch]
        self._batch = min(left, default=self._batch)
        self._enter()
        return bool(left)


def places(prediction: Prediction, waiting: Sequence[int]) -> dict[int, int]:
    """Return the positions of waiting components in the queue for slots, from 1.

    Args:
        prediction: Prediction for all builds.
        waiting: Ids of the components.
    """
    return dict(zip(sorted(waiting, key=lambda task: _key(prediction, task)), count(1), strict=False))


def _key(prediction: Prediction, task: int) -> tuple[float, int]:
    return prediction.starts.get(task, inf), task


def intervals(prediction: Prediction) -> Iterator[tuple[float, float, int]]:
    """Yield start and end of each component with its id; those that build now start at 0."""
    for task, end in prediction.ends.items():
        yield prediction.starts.get(task, 0.0), end, task
