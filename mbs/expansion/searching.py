"""Finds the combinations of streams that can be built together.

Streams are tried one module after the other. Streams that turn out to exclude each other are
remembered as the smallest such set, and nothing that holds such a set is tried again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from mbs.errors import Unprocessable
from mbs.expansion.explaining import Reason, explain
from mbs.expansion.settings import Settings
from mbs.expansion.solver import Solver
from mbs.expansion.universe import Available, NameStream

#: So many other choices of builds are tried for one combination of streams before the best one wins.
MAX_TRIES = 100
#: So many times the limit of combinations are looked at, possible or not; only contrived documents need it.
LOOKS_PER_COMBINATION = 100


#: Streams that exclude each other.
Conflict: TypeAlias = frozenset[NameStream]


@dataclass(frozen=True)
class Combination:
    """Streams that go together.

    Attributes:
        streams: Module name -> stream, of what the document buildrequires.
        builds: All builds that are installed for it.
    """

    streams: Mapping[str, str]
    builds: Sequence[Available]


class Search:
    """What was learnt is kept for the next list.

    Args:
        solver: Knows all modules. :ivar conflicts: streams that exclude each other -> why.
    """

    def __init__(self, solver: Solver, settings: Settings) -> None:
        self._solver = solver
        self._settings = settings
        self._found = 0
        self._looks = 0
        self._watchers: dict[NameStream, list[Conflict]] = defaultdict(list)
        self.conflicts: dict[Conflict, Reason] = {}

    def combinations(self, streams: Mapping[str, Sequence[str]]) -> Iterator[Combination | Conflict]:
        """Every combination, and every set of streams (a key of ``conflicts``) that rules some out, once.

        Args:
            streams: Module name -> streams to choose from.

        Raises:
            Unprocessable: There are too many.
        """
        # A base module rules out most: it comes first.
        names = sorted(streams, key=lambda name: (name not in self._settings.base_modules, name))
        told: set[Conflict] = set()
        for result in self._descend([], [[(name, stream) for stream in streams[name]] for name in names]):
            if isinstance(result, Combination):
                yield result
            elif result not in told:
                told.add(result)
                yield result

    def _descend(
        self, chosen: list[NameStream], choices: list[list[NameStream]]
    ) -> Iterator[Combination | Conflict]:
        if not choices:
            yield self._solved(chosen)
            return
        for pair in choices[0]:
            self._looks += 1
            self._check_limits()
            conflicts = self._conflicts([*chosen, pair], choices[1:])
            yield from conflicts or self._descend([*chosen, pair], choices[1:])

    def _conflicts(self, chosen: list[NameStream], choices: list[list[NameStream]]) -> list[Conflict]:
        """Known conflicts that leave nothing of this choice; [] when there may be something."""
        together = set(chosen)
        conflict = next(filter(None, (self._conflict(pair, together) for pair in chosen)), None)
        if conflict:
            return [conflict]
        for options in choices:
            conflicts = [
                self._conflict(pair, {*together, pair}) for pair in options if pair in self._watchers
            ]
            if len(conflicts) == len(options) and all(conflicts):
                return [conflict for conflict in conflicts if conflict]
        return []

    def _conflict(self, pair: NameStream, together: set[NameStream]) -> Conflict | None:
        """A known conflict that ``pair`` has a part in."""
        return next((each for each in self._watchers.get(pair, ()) if each <= together), None)

    def _check_limits(self) -> None:
        limit = self._settings.max_combinations
        if self._found > limit or self._looks > limit * LOOKS_PER_COMBINATION:
            raise Unprocessable(
                f"The document stands for more than {limit} builds, or for too many combinations to look at.",
                code="too_many_combinations",
                hint="Name fewer streams in its buildrequires.",
            )

    def _solved(self, chosen: list[NameStream]) -> Combination | Conflict:
        builds = self._solver.install(chosen)
        if builds is None:
            return self._learn(chosen)
        self._found += 1
        self._check_limits()
        return Combination(dict(sorted(chosen)), self._newest(chosen, builds))

    def _learn(self, chosen: list[NameStream]) -> Conflict:
        core = self._solver.core(chosen)
        conflict = frozenset(core)
        self.conflicts[conflict] = explain(self._solver, core)
        for pair in core:
            self._watchers[pair].append(conflict)
        return conflict

    # -- which builds of the chosen streams

    def _newest(self, chosen: list[NameStream], builds: list[Available]) -> list[Available]:
        """The consistent builds of these streams with the least sum of ranks (rule 5: the newest wins).

        Args:
            builds: One solution, which the solver made of the newest wherever it had no reason not
                to.
        """
        best, least = builds, self._rank_sum(builds)
        options = [
            [build for build in self._solver.builds(pair) if self._goes(build, builds)] for pair in chosen
        ]
        for others in islice(self._choices(options, least), MAX_TRIES):
            found = self._solver.install(others)
            rank = self._rank_sum(found) if found else least
            if found and rank < least:
                best, least = found, rank
        return best

    def _goes(self, build: Available, builds: Sequence[Available]) -> bool:
        """Whether it needs no other base module than these."""
        bases = (other for other in builds if other.name in self._settings.base_modules)
        return all(self._solver.fits(build, base) for base in bases)

    def _choices(self, options: list[list[Available]], room: int) -> Iterator[list[Available]]:
        """Choices of one build each whose ranks add up to less than ``room``."""
        if not options:
            yield []
            return
        for build in options[0]:
            rank = self._solver.rank(build)
            if rank < room:
                for rest in self._choices(options[1:], room - rank):
                    yield [build, *rest]

    def _rank_sum(self, builds: Sequence[Available]) -> int:
        return sum(map(self._solver.rank, builds))
