"""Make links to commits on the web pages of known forges, from addresses of repositories.

Addresses are untrusted: only web and git addresses of known hosts, and only whole commits, become links.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PATH = re.compile(r"/[A-Za-z0-9_.~+-]+(?:/[A-Za-z0-9_.~+-]+)+|/[A-Za-z0-9_.+-]+")
_SCHEMES = frozenset({"https", "http", "git", "git+https", "git+http"})


@dataclass(frozen=True)
class Forge:
    """Templates of the pages of commits, relative to the address of a repository.

    Attributes:
        commit: Page of one commit, with ``{new}``.
        comparison: Page of the commits between two, with ``{old}`` and ``{new}``.
    """

    commit: str
    comparison: str


GITHUB = Forge("/commit/{new}", "/compare/{old}...{new}")
GITLAB = Forge("/-/commit/{new}", "/-/compare/{old}...{new}")
PAGURE = Forge("/c/{new}", "/c/{old}..{new}")
#: Host -> its forge.
FORGES: Mapping[str, Forge] = {
    "github.com": GITHUB,
    "codeberg.org": GITHUB,
    "gitlab.com": GITLAB,
    "salsa.debian.org": GITLAB,
    "pagure.io": PAGURE,
    "src.fedoraproject.org": PAGURE,
    "git.centos.org": PAGURE,
}


def commit_page(repository: str | None, commit: str | None) -> str:
    """Return the address of the page of a commit; empty where no known forge shows it."""
    page = _page(repository)
    if page is None or not _is_commit(commit):
        return ""
    address, forge = page
    return address + forge.commit.format(new=commit)


def comparison_page(repository: str | None, old: str | None, new: str | None) -> str:
    """Return the address of the page of the commits between two; empty where no known forge shows them."""
    page = _page(repository)
    if page is None or not (_is_commit(old) and _is_commit(new)):
        return ""
    address, forge = page
    return address + forge.comparison.format(old=old, new=new)


def _is_commit(text: str | None) -> bool:
    return text is not None and _COMMIT.fullmatch(text) is not None


def _page(repository: str | None) -> tuple[str, Forge] | None:
    """Return the address of the page of a repository, and its forge."""
    try:
        parts = urlsplit(repository or "")
        host = parts.hostname or ""
    except ValueError:
        return None
    forge = FORGES.get(host) or (GITLAB if host.startswith("gitlab.") else None)
    path = parts.path.rstrip("/").removesuffix(".git")
    if forge is None or parts.scheme not in _SCHEMES or not _PATH.fullmatch(path) or ".." in path:
        return None
    return f"https://{host}{quote(path)}", forge
