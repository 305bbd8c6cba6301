"""The git repository from which the service reads the document of a local build."""

from __future__ import annotations

import time
from pathlib import Path

from mbs.client.local.git import answer, commit, git, init_bare

_VERSIONS, _TREES = "refs/mbs/versions", "refs/mbs/documents"


def store(folder: Path, file_name: str, text: str, *, branch: str, seconds: int | None, origin: str) -> str:
    """Commit a document to a branch, and return the commit. The same document gets the same commit.

    The time of the commit becomes the version of the module, so no two documents get the same time.

    Args:
        folder: The repository, which is created if needed.
        file_name: Name of the document.
        text: The document.
        branch: The branch.
        seconds: Time of the commit that the document comes from; None for a changed one, which is newer.
        origin: The origin of the document, for the message of the commit.
    """
    init_bare(folder)
    content = {file_name: text.encode()}
    message = f"Take {file_name} from {origin}"
    known = answer(folder, "rev-parse", "--verify", "--quiet", f"{_VERSIONS}/{seconds}") if seconds else ""
    made = commit(folder, content, message=message, seconds=seconds) if seconds else ""
    if not made or known not in ("", made):
        made = _newer(folder, content, message)
    else:
        git(folder, "update-ref", f"{_VERSIONS}/{seconds}", made)
    git(folder, "update-ref", f"refs/heads/{branch}", made)
    return made


def _newer(folder: Path, content: dict[str, bytes], message: str) -> str:
    """Return the earlier commit of a document, or a new one with the next free time from now."""
    blob = git(folder, "hash-object", "--stdin", text=next(iter(content.values()))).strip().decode()
    if known := answer(folder, "rev-parse", "--verify", "--quiet", f"{_TREES}/{blob}"):
        return known
    taken = set(answer(folder, "for-each-ref", "--format=%(refname:lstrip=3)", _VERSIONS).split())
    seconds = int(time.time())
    while str(seconds) in taken:
        seconds += 1
    made = commit(folder, content, message=message, seconds=seconds)
    git(folder, "update-ref", f"{_VERSIONS}/{seconds}", made)
    git(folder, "update-ref", f"{_TREES}/{blob}", made)
    return made
