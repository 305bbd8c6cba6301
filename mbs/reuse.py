"""Which components of a module need not be built, because a former build of it built them already.

Source of the rules: docs/contract/modulemd.md, "Reuse of components". Pure: what is compared comes in as
plain values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

ALL = "all"
CHANGED_AND_AFTER = "changed-and-after"
ONLY_CHANGED = "only-changed"

#: What each rebuild strategy means, for people.
STRATEGIES: Mapping[str, str] = {
    ALL: "Every component is built anew.",
    CHANGED_AND_AFTER: "What has changed is built anew, and everything in the batches after it.",
    ONLY_CHANGED: "Only what has changed is built anew.",
}
#: Codes of decisions for which no component is looked at.
_NOTHING_COMPARED = {
    "strategy_all": "the rebuild strategy is all",
    "not_shared": "the build system cannot use a build in several modules",
    "no_former_build": "no other build of this stream, built against the same streams, is ready",
}
#: What the other codes of decisions mean, for people.
_DIFFERENCES = {
    "former_strategy": "the other build was made with a strategy that is not strict enough",
    "new_component": "the other build has no such component",
    "former_unfinished": "the other build has no result of it any more",
    "commit_changed": "its commit differs",
    "arches_changed": "its architectures differ",
    "batch_changed": "its batch differs",
    "macros_changed": "the macros of the module differ",
    "earlier_changed": "components that are built before it differ",
}
#: Builds made with these are good enough to be reused with "changed-and-after".
STRICT = (ALL, CHANGED_AND_AFTER)


@dataclass(frozen=True)
class Part:
    """A component of a module, as far as reuse depends on it.

    Attributes:
        commit: Of its dist-git repository; empty where nobody knows it.
        arches: All that it is built for.
        after: The packages that it is built after (``buildafter``), besides those of earlier
            batches.
    """

    package: str
    commit: str
    batch: int
    arches: frozenset[str]
    after: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.package}#{self.commit} in batch {self.batch} for {_words(self.arches)}"


@dataclass(frozen=True)
class Parts:
    """All components of a module build, without its macros package.

    Attributes:
        name: Of the build, for people: its NSVC.
        strategy: The rebuild strategy it is, or was, built with.
        macros: ``buildopts.rpms.macros`` of its document.
    """

    name: str
    strategy: str
    parts: Sequence[Part]
    macros: str = ""

    def before(self, part: Part) -> frozenset[Part]:
        """Everything that is in the buildroot when a component starts: of earlier batches, and what it
        is built after, directly or not."""
        by_package = {each.package: each for each in self.parts}
        found = {each for each in self.parts if each.batch < part.batch}
        queue = [part]
        while queue:
            for package in queue.pop().after & by_package.keys():
                if by_package[package] not in found:
                    found.add(by_package[package])
                    queue.append(by_package[package])
        return frozenset(found - {part})


@dataclass(frozen=True)
class Decision:
    """Whether a component is reused, and why.

    ====================== =========================================================================
    ``reused``             nothing that matters has changed
    ``strategy_all``       the strategy asks for everything to be built
    ``not_shared``         the build system cannot use a build in more than one module
    ``no_former_build``    there is no build of the module to take it from
    ``former_strategy``    the former build was itself made with less care than is asked for now
    ``new_component``      the former build has no such component
    ``former_unfinished``  the former build has it, but not what it became
    ``commit_changed``     another commit
    ``arches_changed``     other architectures
    ``batch_changed``      another batch
    ``macros_changed``     the author's macros differ
    ``earlier_changed``    what is built before it differs
    ====================== =========================================================================

    Attributes:
        former: The value of the former build that decided, and ``present``, the one of this build.
    """

    package: str
    code: str
    former: str = ""
    present: str = ""

    @property
    def reused(self) -> bool:
        return self.code == "reused"

    @property
    def reason(self) -> str:
        """Why a component that is not reused is built, in one clause, for people."""
        if self.code in _DIFFERENCES:
            return f"{_DIFFERENCES[self.code]} ({self.detail})"
        return self.detail

    @property
    def detail(self) -> str:
        """Both values, for people; or why there is nothing to compare."""
        if self.code in _NOTHING_COMPARED:
            return _NOTHING_COMPARED[self.code]
        if self.former == self.present:
            return f"was and is {self.present or 'none'}"
        return f"was {self.former or 'none'}, is {self.present or 'none'}"


def decide(
    present: Parts, former: Parts | None, *, shared: bool = True, unfinished: Iterable[str] = ()
) -> list[Decision]:
    """Decide for each component of a build whether that of a former build is taken.

    Args:
        former: The build that components may be taken from.
        shared: The build system can use a build in more than one module.
        unfinished: Packages of the former build that it has no result of.

    Returns:
        In the order of ``present.parts``.
    """
    code, was, now = _obstacle(present, former, shared)
    if former is None or code:
        return [Decision(part.package, code, was, now) for part in present.parts]
    known = {part.package: part for part in former.parts}
    missing = set(unfinished)
    return [_decide(part, known.get(part.package), present, former, missing) for part in present.parts]


def _obstacle(present: Parts, former: Parts | None, shared: bool) -> tuple[str, str, str]:
    """Why nothing at all can be reused: a code and both values, or empty texts."""
    if present.strategy == ALL:
        return "strategy_all", former.strategy if former else "", ALL
    if not shared:
        return "not_shared", former.name if former else "", present.name
    if former is None:
        return "no_former_build", "", present.name
    if present.strategy == CHANGED_AND_AFTER and former.strategy not in STRICT:
        return "former_strategy", former.strategy, present.strategy
    return "", "", ""


def _decide(
    part: Part, old: Part | None, present: Parts, former: Parts, unfinished: Iterable[str]
) -> Decision:
    if old is None:
        return Decision(part.package, "new_component", "", str(part))
    if part.package in unfinished:
        return Decision(part.package, "former_unfinished", "", str(part))
    for code, was, now in _compared(part, old, present, former):
        if was != now or not part.commit:
            return Decision(part.package, code, was, now)
    return Decision(part.package, "reused", str(old), str(part))


def _compared(part: Part, old: Part, present: Parts, former: Parts) -> Iterator[tuple[str, str, str]]:
    """What must be equal: the code of the difference, the former value, and the present one."""
    yield "commit_changed", old.commit, part.commit
    yield "arches_changed", _words(old.arches), _words(part.arches)
    if present.strategy == ONLY_CHANGED:
        return
    yield "batch_changed", str(old.batch), str(part.batch)
    yield "macros_changed", former.macros.strip(), present.macros.strip()
    before, now = former.before(old), present.before(part)
    yield "earlier_changed", _differences(before, now), _differences(now, before)


def _differences(one: frozenset[Part], other: frozenset[Part]) -> str:
    return ", ".join(sorted(str(part) for part in one - other))


def _words(names: Iterable[str]) -> str:
    return " ".join(sorted(names))
