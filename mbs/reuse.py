"""Decide which components of a module are reused from an earlier build of it.

The rules are in docs/contract/modulemd.md, "Reuse of components". The functions are pure and compare plain
values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

ALL = "all"
CHANGED_AND_AFTER = "changed-and-after"
ONLY_CHANGED = "only-changed"

#: Meaning of each rebuild strategy, for users.
STRATEGIES: Mapping[str, str] = {
    ALL: "Every component is built again.",
    CHANGED_AND_AFTER: "Changed components are built again, and all components in later batches.",
    ONLY_CHANGED: "Only changed components are built again.",
}
#: Codes of decisions that do not depend on the component.
_NOTHING_COMPARED = {
    "strategy_all": "the rebuild strategy is all",
    "not_shared": "the build system cannot use a build in several modules",
    "no_former_build": "no other build of this stream that was built against the same streams is ready",
}
#: Meaning of the other codes, for users.
_DIFFERENCES = {
    "former_strategy": "the other build was made with a less strict rebuild strategy",
    "new_component": "the other build has no such component",
    "former_unfinished": "the other build no longer has its result",
    "commit_changed": "its commit differs",
    "arches_changed": "its architectures differ",
    "batch_changed": "its batch differs",
    "macros_changed": "the macros of the module differ",
    "earlier_changed": "components that are built before it differ",
}
#: Characters that tell a commit from others, and names that a short reason lists.
SHORT, MAX_BRIEF = 7, 3
#: As ``Decision.detail`` writes it.
_DETAIL = re.compile("was (.*), is (.*)|was and is (.*)", re.DOTALL)
#: Strategies of builds that "changed-and-after" may reuse components from.
STRICT = (ALL, CHANGED_AND_AFTER)


@dataclass(frozen=True)
class Part:
    """The properties of a component that reuse depends on.

    Attributes:
        commit: Commit of its dist-git repository; empty if unknown.
        arches: All architectures that it is built for.
        after: Packages of the same batch that it is built after (``buildafter``).
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
    """All components of a module build except module-build-macros.

    Attributes:
        name: The build's NSVC, for messages.
        strategy: Its rebuild strategy.
        macros: ``buildopts.rpms.macros`` of its document.
    """

    name: str
    strategy: str
    parts: Sequence[Part]
    macros: str = ""

    def before(self, part: Part) -> frozenset[Part]:
        """Return all components that are in the buildroot when a component begins to build.

        These are the components of earlier batches, and those it is built after, directly or indirectly.
        """
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
    ``reused``             no difference that matters
    ``strategy_all``       the strategy builds every component
    ``not_shared``         the build system cannot use a build in more than one module
    ``no_former_build``    there is no earlier build of the module to reuse from
    ``former_strategy``    the earlier build was made with a less strict strategy
    ``new_component``      the earlier build has no such component
    ``former_unfinished``  the earlier build has the component, but not its result
    ``commit_changed``     another commit
    ``arches_changed``     other architectures
    ``batch_changed``      another batch
    ``macros_changed``     the author's macros differ
    ``earlier_changed``    components that are built before it differ
    ====================== =========================================================================

    Attributes:
        former: The value of the earlier build that decided.
        present: The corresponding value of this build.
    """

    package: str
    code: str
    former: str = ""
    present: str = ""

    @property
    def reused(self) -> bool:
        """Whether the component is reused."""
        return self.code == "reused"

    @property
    def reason(self) -> str:
        """Why the component is built, as one clause for users."""
        if self.code in _DIFFERENCES:
            return f"{_DIFFERENCES[self.code]} ({self.detail})"
        return self.detail

    @property
    def detail(self) -> str:
        """Both values, or why there is nothing to compare, for users."""
        if self.code in _NOTHING_COMPARED:
            return _NOTHING_COMPARED[self.code]
        if self.former == self.present:
            return f"was and is {self.present or 'none'}"
        return f"was {self.former or 'none'}, is {self.present or 'none'}"


def brief(code: str, detail: str) -> str:
    """Return why a component was built, or that it was reused, in a few words.

    Args:
        code: Recorded code of the decision; empty if there was no decision.
        detail: Recorded detail of the decision.
    """
    if not code or code == "reused":
        return code
    was, now = _both(detail)
    match code:
        case "commit_changed":
            return f"commit {was[:SHORT] or 'none'} → {now[:SHORT] or 'none'}"
        case "arches_changed":
            return f"architectures {was or 'none'} → {now or 'none'}"
        case "batch_changed":
            return f"batch {was} → {now}"
        case "earlier_changed":
            changed = _packages(was) | _packages(now)
            shown = ", ".join(sorted(changed)[:MAX_BRIEF])
            more = f" and {len(changed) - MAX_BRIEF} more" if len(changed) > MAX_BRIEF else ""
            return f"built after {shown}{more}, which changed" if changed else _DIFFERENCES[code]
    return _NOTHING_COMPARED.get(code) or _DIFFERENCES.get(code) or code


def _both(detail: str) -> tuple[str, str]:
    """Return the former and the present value that ``Decision.detail`` was made of."""
    match = _DETAIL.fullmatch(detail)
    if match is None:
        return "", ""
    was, now = (match[1], match[2]) if match[2] is not None else (match[3], match[3])
    return ("" if was == "none" else was), ("" if now == "none" else now)


def _packages(parts: str) -> set[str]:
    """Return the packages in a list of parts, as ``str(Part)`` writes each."""
    return {part.partition("#")[0] for part in parts.split(", ") if "#" in part}


def decide(
    present: Parts, former: Parts | None, *, shared: bool = True, unfinished: Iterable[str] = ()
) -> list[Decision]:
    """Decide for each component of a build whether it is reused from an earlier build.

    Args:
        former: The earlier build.
        shared: Whether the build system can use a build in more than one module.
        unfinished: Packages of which the earlier build has no result.

    Returns:
        Decisions in the order of ``present.parts``.
    """
    code, was, now = _obstacle(present, former, shared)
    if former is None or code:
        return [Decision(part.package, code, was, now) for part in present.parts]
    known = {part.package: part for part in former.parts}
    missing = set(unfinished)
    return [_decide(part, known.get(part.package), present, former, missing) for part in present.parts]


def _obstacle(present: Parts, former: Parts | None, shared: bool) -> tuple[str, str, str]:
    """Return why no component can be reused: a code and both values, or empty texts."""
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
    """Yield the values that must be equal: the code of the difference, the earlier and the present value."""
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
