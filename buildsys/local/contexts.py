"""Choose the builds of a stream that can be in one repository.

dnf enables all contexts of a stream whose run-time requirements are met, takes each package from the context
with the highest release, and cannot be asked for one context. So contexts that can be enabled together must
not be in one repository.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mbs.modulemd import StreamV2


def separate(documents: Sequence[StreamV2]) -> list[int | None]:
    """Return for each build that does not belong to the repository the one that is there instead.

    Of contexts that dnf would enable together, the one with the highest version belongs to it; of the same
    version, the one that was finished first.

    Args:
        documents: The builds' documents, in the reverse order in which the builds were finished.

    Returns:
        For each build, the position of the build with which dnf would mix it; None if it belongs there.
    """
    order = sorted(range(len(documents)), key=lambda place: (documents[place].version or 0, place))
    instead: dict[int, int | None] = {}
    for place in reversed(order):
        taken = [other for other, another in instead.items() if another is None]
        instead[place] = next((other for other in taken if _mixed(documents[place], documents[other])), None)
    return [instead[place] for place in range(len(documents))]


def _mixed(one: StreamV2, other: StreamV2) -> bool:
    """Return whether dnf would mix the packages of two builds."""
    if one.context == other.context:
        return False
    return any(
        not _exclude_each_other(mine, others) for mine in _requires(one) for others in _requires(other)
    )


def _requires(document: StreamV2) -> list[Mapping[str, Sequence[str]]]:
    """Return the alternative run-time requirements of a build."""
    return [each.requires for each in document.dependencies] or [{}]


def _exclude_each_other(one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]]) -> bool:
    return any(_disjoint(one[name], other[name]) for name in one.keys() & other.keys())


def _disjoint(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether no stream is in both lists of required (``1``) or excluded (``-1``) streams."""
    if not one or not other:
        return False  # an empty list accepts all streams
    if one[0].startswith("-"):
        one, other = other, one
    if one[0].startswith("-"):
        return False
    excluded = other[0].startswith("-")
    return all((f"-{stream}" in other) if excluded else (stream not in other) for stream in one)
