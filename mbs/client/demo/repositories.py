"""Create git repositories from folders."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mbs.errors import MBSError

#: Override the user's hooks, signatures and line endings.
SETTINGS = {
    "user.name": "MBS demo",
    "user.email": "demo@mbs.invalid",
    "core.hooksPath": os.devnull,
    "core.autocrlf": "false",
    "commit.gpgSign": "false",
    "gc.auto": "0",
}


class GitFailed(MBSError):
    """A git command failed."""

    code = "git_failed"


@dataclass(frozen=True)
class Commit:
    """A commit in a repository on this machine."""

    repository: Path
    hexsha: str

    @property
    def scmurl(self) -> str:
        """The address of the commit, as submissions use it (docs/contract/rest.md, "Submitting")."""
        return f"{self.repository.as_uri()}?#{self.hexsha}"


def commit_tree(source: Path, target: Path, branch: str, *, always: bool) -> Commit:
    """Commit the content of a folder to a branch of a repository, which is created if needed.

    Args:
        always: Commit even if nothing has changed.

    Raises:
        GitFailed: A git command failed.
    """
    if not _is_intact(target, branch):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        git(target, "init", "--quiet", f"--initial-branch={branch}")
        git(target, "commit", "--quiet", "--allow-empty", "--message=Begin")
    for path in target.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(source, target, dirs_exist_ok=True)
    git(target, "add", "--all", "--force")
    if always or git(target, "status", "--porcelain"):
        git(target, "commit", "--quiet", "--allow-empty", "--message=Take the example as it is now")
    return Commit(target, git(target, "rev-parse", "HEAD"))


def _is_intact(target: Path, branch: str) -> bool:
    """Return whether the folder is an intact repository with this branch checked out."""
    try:
        there = git(target, "rev-parse", "--show-toplevel", "--abbrev-ref", "HEAD").splitlines()
        git(target, "fsck", "--connectivity-only")
    except GitFailed:
        return False
    return there == [str(target.resolve()), branch]


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, and return its output.

    Raises:
        GitFailed: git failed or is not installed.
    """
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    # If a git hook runs this, its environment points to another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ("git", *settings, *arguments),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    except OSError as error:
        raise GitFailed(f"git cannot be run in {folder}: {error.strerror}.") from error
    if done.returncode:
        raise GitFailed(f"git {' '.join(arguments)} failed in {folder}: {done.stderr.strip()}")
    return done.stdout.strip()
