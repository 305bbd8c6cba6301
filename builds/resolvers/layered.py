"""Several universes, one behind the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mbs.expansion import Available, NameStream, Universe


class LayeredUniverse:
    """Asks one universe after the other (see ``mbs.expansion.Universe``).

    A stream that an earlier one has builds of is not looked for in later ones: what a developer built on
    purpose, whatever its version, goes before what happens to be elsewhere.
    """

    def __init__(self, *universes: Universe) -> None:
        self._universes = universes

    def base_modules(self, names: Collection[str]) -> Sequence[Available]:
        found: dict[NameStream, Available] = {}
        for universe in self._universes:
            for build in universe.base_modules(names):
                known = found.get((build.name, build.stream))
                if known is None or (known.retired and not build.retired):
                    found[build.name, build.stream] = build
        return list(found.values())

    def streams(self, names: Collection[str]) -> Mapping[str, Sequence[str]]:
        answers = [universe.streams(names) for universe in self._universes]
        return {
            name: sorted({stream for answer in answers for stream in answer.get(name, ())}) for name in names
        }

    def candidates(
        self, wanted: Collection[NameStream], bases: Collection[NameStream]
    ) -> Sequence[Available]:
        found: list[Available] = []
        missing = list(wanted)
        for universe in self._universes:
            if not missing:
                break
            found += universe.candidates(missing, bases)
            there = {(build.name, build.stream) for build in found}
            missing = [pair for pair in missing if pair not in there]
        return found
