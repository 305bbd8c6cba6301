"""Read the subjects of the commits between two commits of a repository."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mbs.text import printable
from scm.errors import ScmError
from scm.git import Repository
from scm.options import ScmOptions

#: Max commits that are read, and max characters of a subject.
MAX_COMMITS, MAX_SUBJECT = 50, 200
#: Max seconds for a repository, and max bytes of git's output.
_TIMEOUT, _MAX_OUTPUT = 30.0, 1 << 20
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Subject:
    """The first line of a commit's message, printable and shortened."""

    commit: str
    text: str


@dataclass(frozen=True)
class Subjects:
    """The commits that one commit contains and another does not.

    Attributes:
        found: The newest commits, the newest first.
        more: Whether there are more commits.
    """

    found: tuple[Subject, ...]
    more: bool = False


def subjects(url: str, old: str, new: str, options: ScmOptions) -> Subjects:
    """Return the commits after one commit up to another.

    Only commits are fetched, without their files if the server supports that, and at most ``MAX_COMMITS``
    generations of them.

    Args:
        url: Address of the repository.
        old: Full commit; ``new`` is another.
        options: Limits and permissions; the time is reduced to 30 seconds.

    Raises:
        ScmError: See ``scm.git.Repository``.
    """
    if not (_COMMIT.fullmatch(old) and _COMMIT.fullmatch(new)):
        raise ScmError("Only full commits can be compared.", code="ref_unknown")
    bounded = replace(options, timeout=min(options.timeout, _TIMEOUT), attempts=1)
    with Repository(url, bounded) as repository:
        output = repository.log(old, new, MAX_COMMITS + 1, _MAX_OUTPUT)
    rows = (row.partition(" ") for row in output.decode("utf-8", "replace").split("\0") if row)
    found = [Subject(commit, printable(text[:MAX_SUBJECT]).strip()) for commit, _, text in rows]
    return Subjects(tuple(found[:MAX_COMMITS]), len(found) > MAX_COMMITS)
