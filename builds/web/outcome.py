"""Prepare the result of an ended build for its page: the contents of the module, or the failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import quote

from django.template.defaultfilters import filesizeformat

from builds.api import links
from builds.models import ModuleBuild
from builds.representations import error_cause
from builds.selectors import pages
from builds.services.build_system import as_module, build_system
from buildsys.base import BuildSystemUnavailable
from buildsys.delivery import KeepsStreams, ListsFiles, ResultFile
from mbs.errors import MBSError
from mbs.modulemd import StreamV2, parse_stream
from mbs.states import BuildState

#: Max names in a list on the page, and max RPMs of each kind.
MAX_NAMES, MAX_RPMS = 100, 300
#: Max characters of a document that is parsed for a page.
_MAX_DOCUMENT = 1 << 20


@dataclass(frozen=True)
class Names:
    """A list of names, shortened for a page.

    Attributes:
        names: The names that are shown.
        more: Number of names that are not shown.
    """

    names: Sequence[str]
    more: int = 0

    @classmethod
    def of(cls, names: Sequence[str]) -> Names:
        """Return the first ``MAX_NAMES`` names."""
        return cls(list(names[:MAX_NAMES]), max(0, len(names) - MAX_NAMES))


@dataclass(frozen=True)
class Content:
    """The contents of a finished module, from its modulemd document."""

    summary: str
    profiles: Sequence[tuple[str, Names]]
    api: Names
    filter: Names
    rpms: Names


@dataclass(frozen=True)
class File:
    """An RPM of a finished module with a readable size, and its URL if it can be downloaded here."""

    name: str
    address: str
    size: str


@dataclass(frozen=True)
class Absence:
    """The reason why a finished build is not in the repository of its stream.

    Attributes:
        repository_url: URL of its own repository.
        instead: The build that is there, with whose packages dnf would mix those of this build; None if later
            builds have replaced this build, or if the other one is not known.
        replaced: Whether later builds have replaced it.
    """

    repository_url: str
    instead: ModuleBuild | None
    replaced: bool


@dataclass(frozen=True)
class Outcome:
    """The result of a finished build.

    Attributes:
        content: Contents of its document; None if the document is missing or unreadable.
        files: RPMs whose sizes are known; empty if none are.
        size: Readable total size of the RPMs.
        more: Number of RPMs that are not among the files.
        absence: Why the build is not in the repository of its stream; None if it is, or if there is none.
    """

    content: Content | None
    files: Sequence[File]
    size: str
    more: int = 0
    absence: Absence | None = None


@dataclass(frozen=True)
class ExcerptLine:
    """A line of an excerpt; ``number`` is empty if it is unknown."""

    number: str
    text: str
    cause: bool


@dataclass(frozen=True)
class Failure:
    """The reason why a build failed.

    Attributes:
        cause: Category of the error (``builds.representations.error_cause``).
        excerpt: The stored excerpt of a log; None if no log explains the failure.
        lines: The lines of the excerpt.
    """

    cause: str
    excerpt: Mapping[str, Any] | None
    lines: Sequence[ExcerptLine]


def failure_of(build: ModuleBuild) -> Failure:
    """Return the reason why a build failed."""
    excerpt: Mapping[str, Any] | None = build.error_excerpt
    return Failure(error_cause(build.error_code), excerpt, _excerpt_lines(excerpt) if excerpt else [])


def _excerpt_lines(excerpt: Mapping[str, Any]) -> list[ExcerptLine]:
    lines = []
    for place, text in enumerate(excerpt["lines"]):
        number = excerpt["first_line"] + place if excerpt["first_line"] else None
        cause = number == excerpt["line"] if number else text.strip() == excerpt["cause"]
        lines.append(ExcerptLine("" if number is None else str(number), text, cause))
    return lines


def outcome_of(build: ModuleBuild) -> Outcome | None:
    """Return the result of a finished build; None if it is not finished."""
    if build.state not in (BuildState.DONE, BuildState.READY):
        return None
    document, sizes = pages.document(build)
    content = _content(build.pk, build.run, document)
    if files := _files(build):
        listed = [
            File(each.name, f"{links.prefix()}/results/{quote(each.path)}", filesizeformat(each.size))
            for each in files
        ]
        size = filesizeformat(sum(each.size for each in files))
        return Outcome(content, listed, size, absence=_absence(build))
    names = sorted(sizes, key=lambda nevra: (nevra.endswith(".src"), nevra))
    listed = [File(nevra, "", filesizeformat(sizes[nevra])) for nevra in names[:MAX_RPMS]]
    size = filesizeformat(sum(sizes.values()))
    return Outcome(content, listed, size, len(names) - len(listed), _absence(build))


def _absence(build: ModuleBuild) -> Absence | None:
    system = build_system()
    if not (isinstance(system, KeepsStreams) and build.repository_url) or build.scratch:
        return None
    try:
        found = system.left_out(as_module(build, document=False))
    except (BuildSystemUnavailable, OSError):
        return None
    if found is None:
        return None
    if not found.instead:
        return Absence(found.repository_url, None, replaced=True)
    others = ModuleBuild.objects.filter(name=build.name, stream=build.stream, koji_tag=found.instead)
    return Absence(found.repository_url, others.only("pk", "context").first(), replaced=False)


def _files(build: ModuleBuild) -> list[ResultFile]:
    system = build_system()
    if not (isinstance(system, ListsFiles) and build.repository_url):
        return []
    try:
        return system.files(as_module(build, document=False), MAX_RPMS)
    except (BuildSystemUnavailable, OSError):
        return []


@lru_cache(maxsize=16)
def _content(number: int, run: int, document: str) -> Content | None:
    """Parse a document. Few results are cached, since each document may have a megabyte."""
    if not document or len(document) > _MAX_DOCUMENT:
        return None
    try:
        found: StreamV2 = parse_stream(document, strict=False)
    except MBSError:
        return None
    profiles = islice(found.profiles.items(), MAX_NAMES)
    return Content(
        summary=found.summary or "",
        profiles=[(name, Names.of(list(profile.rpms))) for name, profile in profiles],
        api=Names.of(list(found.api_rpms)),
        filter=Names.of(list(found.filter_rpms)),
        rpms=Names.of(list(found.artifact_rpms)),
    )
