"""Git repositories made from the example's source trees."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from git import Actor, Repo
from git.exc import GitError

AUTHOR = Actor("MBS demo", "demo@mbs.invalid")


@dataclass(frozen=True)
class Commit:
    """A commit in a repository on this machine."""

    repository: Path
    hexsha: str

    @property
    def scmurl(self) -> str:
        """Its address in the form that the service takes (``contract: Submitting``)."""
        return f"{self.repository.as_uri()}?#{self.hexsha}"


def commit_tree(source: Path, target: Path, branch: str, *, always: bool) -> Commit:
    """Make the branch of a repository hold what is in a folder; the repository is made when needed.

    Neither hooks nor the signing of commits that the user may have configured take part.

    :param always: commit even when nothing has changed.
    """
    repo = _open(target, branch)
    for path in _work_tree(target):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(source, target, dirs_exist_ok=True)
    repo.git.add("--all", "--force")
    has_commits = repo.head.is_valid()
    if always or not has_commits or repo.index.diff("HEAD"):
        repo.index.commit("Take the example as it is now", author=AUTHOR, committer=AUTHOR, skip_hooks=True)
    hexsha = repo.head.commit.hexsha
    repo.close()
    return Commit(target, hexsha)


def _open(target: Path, branch: str) -> Repo:
    """The repository there; one that is damaged or of another branch is made anew."""
    try:
        repo = Repo(target)
        if repo.head.reference.name == branch:
            return repo
        repo.close()
    except (GitError, ValueError, TypeError, OSError):
        pass
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    return Repo.init(target, initial_branch=branch)


def _work_tree(target: Path) -> Iterator[Path]:
    return (path for path in target.iterdir() if path.name != ".git")
