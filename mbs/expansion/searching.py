"""Find the combinations of streams that can be built together.

Streams are tried one module after the other. When streams exclude each other, the smallest such set is
stored, and no combination that contains it is tried again.
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

#: Max choices of builds that are tried for one combination of streams before the best one so far is used.
MAX_TRIES = 100
#: Max combinations to examine, possible or not, as a multiple of the limit of builds. Real documents stay far
#: below.
LOOKS_PER_COMBINATION = 100


#: Streams that exclude each other.
Conflict: TypeAlias = frozenset[NameStream]


@dataclass(frozen=True)
class Combination:
    """Streams that can be built together.

    Attributes:
        streams: Module name -> stream of each buildrequire of the document.
        builds: All builds that are installed for it.
    """

    streams: Mapping[str, str]
    builds: Sequence[Available]


class Search:
    """A search through combinations that keeps known conflicts for further lists.

    Attributes:
        conflicts: Streams that exclude each other -> the reason.
    """

    def __init__(self, solver: Solver, settings: Settings) -> None:
        self._solver = solver
        self._settings = settings
        self._found = 0
        self._looks = 0
        self._watchers: dict[NameStream, list[Conflict]] = defaultdict(list)
        self.conflicts: dict[Conflict, Reason] = {}

    def combinations(self, streams: Mapping[str, Sequence[str]]) -> Iterator[Combination | Conflict]:
        """Yield every combination, and each conflict that rules some out, once.

        Args:
            streams: Module name -> streams to choose from.

        Raises:
            Unprocessable: There are too many combinations.
        """
        # Base modules rule out most combinations, so they are tried first.
        names = sorted(streams, key=lambda name: (name not in self._settings.base_modules, name))
        reported: set[Conflict] = set()
        for result in self._descend([], [[(name, stream) for stream in streams[name]] for name in names]):
            if isinstance(result, Combination):
                yield result
            elif result not in reported:
                reported.add(result)
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
        """Return known conflicts that rule out this choice entirely, or an empty list."""
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
        """Return a known conflict that ``pair`` is part of."""
        return next((each for each in self._watchers.get(pair, ()) if each <= together), None)

    def _check_limits(self) -> None:
        limit = self._settings.max_combinations
        if self._found > limit or self._looks > limit * LOOKS_PER_COMBINATION:
            raise Unprocessable(
                f"The document allows more than {limit} builds, or too many combinations to examine.",
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
        """Return the consistent builds of these streams with the lowest sum of ranks (rule 5: the newest).

        Args:
            builds: A solution. The solver prefers the newest builds where it can.
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
        """Return whether a build accepts the base modules among these builds."""
        bases = (other for other in builds if other.name in self._settings.base_modules)
        return all(self._solver.fits(build, base) for base in bases)

    def _choices(self, options: list[list[Available]], room: int) -> Iterator[list[Available]]:
        """Yield choices of one build each whose ranks add up to less than ``room``."""
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
