"""A universe that combines several universes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mbs.expansion import Available, NameStream, Universe


class LayeredUniverse:
    """Search several universes in order (see ``mbs.expansion.Universe``).

    A stream that is found in one universe is not searched for in the following ones: a module that a
    developer built takes precedence over newer versions elsewhere.
    """

    def __init__(self, *universes: Universe) -> None:
        self._universes = universes

    def base_modules(self, names: Collection[str]) -> Sequence[Available]:
        """Return the base modules of all universes; one that is not retired replaces a retired one."""
        found: dict[NameStream, Available] = {}
        for universe in self._universes:
            for build in universe.base_modules(names):
                known = found.get((build.name, build.stream))
                if known is None or (known.retired and not build.retired):
                    found[build.name, build.stream] = build
        return list(found.values())

    def streams(self, names: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return the streams of these modules in all universes."""
        answers = [universe.streams(names) for universe in self._universes]
        return {
            name: sorted({stream for answer in answers for stream in answer.get(name, ())}) for name in names
        }

    def candidates(
        self, wanted: Collection[NameStream], bases: Collection[NameStream]
    ) -> Sequence[Available]:
        """Return builds of each stream, from the first universe that has it."""
        found: list[Available] = []
        missing = list(wanted)
        for universe in self._universes:
            if not missing:
                break
            found += universe.candidates(missing, bases)
            there = {(build.name, build.stream) for build in found}
            missing = [pair for pair in missing if pair not in there]
        return found
