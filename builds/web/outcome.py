"""What became of a build, for its page: how to get what was built, or why it failed."""

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
from buildsys.delivery import ListsFiles, ResultFile
from mbs.errors import MBSError
from mbs.modulemd import StreamV2, parse_stream
from mbs.states import BuildState

#: Names that each list of a page shows, and RPMs of either kind.
MOST_NAMES, MOST_RPMS = 100, 300
#: Characters of a document that is read for a page.
_LONGEST = 1 << 20


@dataclass(frozen=True)
class Names:
    """A list of names, as far as it is shown.

    :param more: how many are not.
    """

    names: Sequence[str]
    more: int = 0

    @classmethod
    def of(cls, names: Sequence[str]) -> Names:
        """The names, cut to ``MOST_NAMES``."""
        return cls(list(names[:MOST_NAMES]), max(0, len(names) - MOST_NAMES))


@dataclass(frozen=True)
class Content:
    """What the document of a finished module says to those who use it."""

    summary: str
    profiles: Sequence[tuple[str, Names]]
    api: Names
    filter: Names
    rpms: Names


@dataclass(frozen=True)
class File:
    """An RPM of a finished module, with its address and its size for people."""

    name: str
    address: str
    size: str


@dataclass(frozen=True)
class Outcome:
    """Of a finished build.

    :param content: None where its document is not known.
    :param files: RPMs that can be downloaded here.
    :param size: of all of them together, for people.
    """

    content: Content | None
    files: Sequence[File]
    size: str


@dataclass(frozen=True)
class ExcerptLine:
    """A line of an excerpt; ``number`` is empty where it is not known."""

    number: str
    text: str
    cause: bool


@dataclass(frozen=True)
class Failure:
    """Why a build failed.

    :param cause: whose fault it was (``builds.representations.error_cause``).
    :param excerpt: as it is stored; None: no log explains it.
    """

    cause: str
    excerpt: Mapping[str, Any] | None
    lines: Sequence[ExcerptLine]


def failure_of(build: ModuleBuild) -> Failure:
    """Return why a failed build failed."""
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
    """Return what a finished build holds; None while it is not finished."""
    if build.state not in (BuildState.DONE, BuildState.READY):
        return None
    files = _files(build)
    return Outcome(
        content=_content(build.pk, build.run, pages.document(build)),
        files=[
            File(each.name, f"{links.prefix()}/results/{quote(each.path)}", filesizeformat(each.size))
            for each in files
        ],
        size=filesizeformat(sum(each.size for each in files)),
    )


def _files(build: ModuleBuild) -> list[ResultFile]:
    system = build_system()
    if not (isinstance(system, ListsFiles) and build.repository_url):
        return []
    try:
        return system.files(as_module(build, document=False), MOST_RPMS)
    except (BuildSystemUnavailable, OSError):
        return []


@lru_cache(maxsize=16)
def _content(number: int, run: int, document: str) -> Content | None:
    """Read a document; the latest ones are kept, few of them, since each may have a megabyte."""
    if not document or len(document) > _LONGEST:
        return None
    try:
        found: StreamV2 = parse_stream(document, strict=False)
    except MBSError:
        return None
    profiles = islice(found.profiles.items(), MOST_NAMES)
    return Content(
        summary=found.summary or "",
        profiles=[(name, Names.of(list(profile.rpms))) for name, profile in profiles],
        api=Names.of(list(found.api_rpms)),
        filter=Names.of(list(found.filter_rpms)),
        rpms=Names.of(list(found.artifact_rpms)),
    )
