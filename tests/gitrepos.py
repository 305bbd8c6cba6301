"""Real git repositories for tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

SPEC = """\
Name: {name}
Version: 1.0
Release: 1%{{?dist}}
Summary: A package for tests
License: MIT
Source0: {name}-%{{version}}.tar.gz

%description
For tests.

%files
"""


def git(folder: Path, *arguments: str, when: str = "2018-02-05T13:51:54Z") -> str:
    """Run git in ``folder`` without the machine's configuration; return its output.

    Args:
        when: Date of commits.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    person = {"NAME": "Tester", "EMAIL": "tester@example.org", "DATE": when}
    environment |= {
        f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()
    }
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def make_repo(
    folder: Path,
    files: Mapping[str, str | bytes],
    *,
    branch: str = "master",
    when: str = "2018-02-05T13:51:54Z",
) -> str:
    """Make a repository with one commit of ``files`` (path -> content); return the full commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", f"--initial-branch={branch}")
    return commit(folder, files, when=when)


def commit(
    folder: Path,
    files: Mapping[str, str | bytes],
    message: str = "Change",
    *,
    when: str = "2018-02-05T13:51:54Z",
) -> str:
    """Commit ``files`` on the current branch; return the full commit."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", f"--message={message}", when=when)
    return git(folder, "rev-parse", "HEAD")


def url(folder: Path) -> str:
    """Return the ``file://`` url of a repository."""
    return folder.as_uri()


def package_files(name: str, **more: str | bytes) -> dict[str, str | bytes]:
    """Return the files of a dist-git repository: a spec file, and a ``sources`` file with its source."""
    return {
        f"{name}.spec": SPEC.format(name=name),
        "sources": f"SHA512 ({name}-1.0.tar.gz) = {'0' * 128}\n",
        **more,
    }
