"""Which builds satisfy a list of streams, and which base modules are compatible.

Source: docs/contract/modulemd.md, "Stream expansion", rules 4 and 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mbs.expansion.settings import Settings
from mbs.expansion.universe import Available


def is_open(streams: Sequence[str]) -> bool:
    """``[]`` and ``[-f28]`` stand for every stream (but those); one plain stream makes a closed list."""
    return all(stream.startswith("-") for stream in streams)


def excluded(streams: Sequence[str]) -> list[str]:
    """The streams that an open list leaves out."""
    return [stream[1:] for stream in streams if stream.startswith("-")]


def listed(streams: Sequence[str]) -> list[str]:
    """The streams that a closed list names, each once, in order of their text."""
    return sorted({stream for stream in streams if not stream.startswith("-")})


class Requirement(NamedTuple):
    """One module that another needs at run time.

    Attributes:
        since: Of a base module: the stream that it must not be older than, or empty.
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
    """What a build needs: any one of the lists, each in full. No list: nothing.

    What was made against a base module such as ``el8.1.0`` may need what was new there: it goes with that
    or a later one, unless its author says that every stream will do.
    """

    def requirement(name: str, streams: Sequence[str]) -> Requirement:
        built = module.built_against.get(name, "") if name in settings.base_modules else ""
        bounded = not is_open(streams) and settings.is_xyz(built)
        return Requirement(name, tuple(streams), built if bounded else "")

    return [
        [requirement(name, streams) for name, streams in sorted(needs.items())] for needs in module.requires
    ]


def satisfies(module: Available, requirement: Requirement, settings: Settings) -> bool:
    """Whether this build of ``requirement.name`` will do."""

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
    """Base modules whose modules may be used with ``base``.

    Args:
        bases: All base modules, retired ones too.

    Returns:
        A list for each major version, the best first: for each module that is needed, the first
        base module of a list that has builds of it is the one whose builds count.
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
        # A stream without a number is comparable with nothing: it stands alone.
        majors.setdefault(major(theirs) if theirs else other.ns, []).append(other)
    for group in majors.values():
        group.sort(key=lambda other: _distance(settings.number(other.stream), number))
    return list(majors.values())


def major(number: float) -> int:
    return int(number) // 10000


def _distance(theirs: float, number: float) -> tuple[bool, float]:
    """The newest that is not newer than ``number`` comes first, then the newer ones from below."""
    return (theirs > number, abs(number - theirs))
