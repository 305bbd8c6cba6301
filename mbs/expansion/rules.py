"""Define which builds satisfy a list of streams, and which base modules are compatible.

See docs/contract/modulemd.md, "Stream expansion", rules 4 and 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mbs.expansion.settings import Settings
from mbs.expansion.universe import Available


def is_open(streams: Sequence[str]) -> bool:
    """Return whether a list has no plain stream: ``[]`` allows every stream, ``[-f28]`` every one but f28."""
    return all(stream.startswith("-") for stream in streams)


def excluded(streams: Sequence[str]) -> list[str]:
    """Return the streams that an open list excludes."""
    return [stream[1:] for stream in streams if stream.startswith("-")]


def listed(streams: Sequence[str]) -> list[str]:
    """Return the distinct streams of a closed list, sorted."""
    return sorted({stream for stream in streams if not stream.startswith("-")})


class Requirement(NamedTuple):
    """A module that another one requires at run time.

    Attributes:
        streams: As written in the document.
        since: For a base module: the oldest stream that is accepted, or empty.
    """

    name: str
    streams: tuple[str, ...]
    since: str = ""

    def __str__(self) -> str:
        if len(self.streams) == 1 and not is_open(self.streams):
            text = f"{self.name}:{self.streams[0]}"
        else:
            text = f"{self.name}:[{', '.join(self.streams)}]" if self.streams else self.name
        return f"{text} as of {self.since}" if self.since and text != f"{self.name}:{self.since}" else text


def requirements(module: Available, settings: Settings) -> list[list[Requirement]]:
    """Return the requirements of a build as alternatives: one list must be satisfied in full.

    A module that was built against a minor release such as ``el8.1.0`` may depend on features that are new
    there. It fits that base module or later ones, unless its author allows every stream.
    """

    def requirement(name: str, streams: Sequence[str]) -> Requirement:
        built = module.built_against.get(name, "") if name in settings.base_modules else ""
        bounded = not is_open(streams) and settings.is_xyz(built)
        return Requirement(name, tuple(streams), built if bounded else "")

    return [
        [requirement(name, streams) for name, streams in sorted(needs.items())] for needs in module.requires
    ]


def satisfies(module: Available, requirement: Requirement, settings: Settings) -> bool:
    """Return whether this build of ``requirement.name`` satisfies the requirement."""

    def is_called(stream: str) -> bool:
        virtual = module.name in settings.base_modules and stream in module.virtual_streams
        return stream == module.stream or virtual

    if is_open(requirement.streams):
        suits = not any(map(is_called, excluded(requirement.streams)))
    else:
        suits = any(map(is_called, requirement.streams))
    number = settings.number(module.stream) if requirement.since else 0.0
    return suits and (not number or number >= settings.number(requirement.since))


def compatible(base: Available, bases: Iterable[Available], settings: Settings) -> list[list[Available]]:
    """Return base modules whose modules may be used with ``base``.

    Args:
        bases: All base modules, including retired ones.

    Returns:
        A list for each major version, best first. For each required module, the first base module in a list
            that has builds of it determines which builds are used.
    """
    number = settings.number(base.stream)

    def suits(other: Available) -> bool:
        if other.name != base.name or not set(other.virtual_streams) & set(base.virtual_streams):
            return False
        if not settings.only_compatible:
            return True
        theirs = settings.number(other.stream)
        return not other.retired and bool(number) and major(theirs) == major(number) and theirs <= number

    majors: dict[object, list[Available]] = {}
    for other in [base, *(other for other in bases if other is not base and suits(other))]:
        theirs = settings.number(other.stream)
        # A stream without a number cannot be compared, so it forms a group of its own.
        majors.setdefault(major(theirs) if theirs else other.ns, []).append(other)
    for group in majors.values():
        group.sort(key=lambda other: _distance(settings.number(other.stream), number))
    return list(majors.values())


def major(number: float) -> int:
    """Return the major version in a stream's number."""
    return int(number) // 10000


def _distance(theirs: float, number: float) -> tuple[bool, float]:
    """Return a sort key: first the newest that is not newer than ``number``, then newer ones, ascending."""
    return (theirs > number, abs(number - theirs))
