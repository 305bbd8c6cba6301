"""Run git on checkouts and own repositories, without programs that a checkout's configuration names."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mbs.client.up.needs import Missing, install_command
from mbs.errors import MBSError
from mbs.text import printable

#: Seconds for one command.
TIMEOUT = 60
#: Seconds for a command that stores a large file.
BIG_TIMEOUT = 600
#: No programs of the checkout's configuration, which may come from strangers.
_SETTINGS = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "gc.auto=0",
    "commit.gpgSign=false",
    # Larger files are stored in parts.
    "core.bigFileThreshold=16m",
)
#: No connections: a partial clone would run the ssh command of its configuration to fetch missing objects.
_OFFLINE = {"GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1"}
_PERSON = {"NAME": "mbs local", "EMAIL": "mbs-local@localhost"}
_AUTHOR = {f"GIT_{role}_{key}": text for role in ("AUTHOR", "COMMITTER") for key, text in _PERSON.items()}


class GitFailed(MBSError):
    """A git command failed."""

    code = "git_failed"


def git(
    folder: Path,
    *arguments: str,
    text: bytes = b"",
    environment: Mapping[str, str] = {},
    timeout: float = TIMEOUT,
) -> bytes:
    """Run git in a folder, and return its output.

    Args:
        text: Its standard input.
        environment: Further variables.
        timeout: Seconds until it is stopped.

    Raises:
        Missing: git is not installed.
        GitFailed: It failed, or took too long.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    try:
        done = subprocess.run(
            ("git", *settings, *arguments),
            cwd=folder,
            env={
                **inherited,
                **_AUTHOR,
                **_OFFLINE,
                "GIT_OPTIONAL_LOCKS": "0",
                "LC_ALL": "C.UTF-8",
                **environment,
            },
            input=text,
            capture_output=True,
            timeout=timeout,
        )
    except FileNotFoundError as error:
        if not folder.is_dir():
            raise GitFailed(f"The folder {folder} does not exist.") from error
        raise Missing(
            "git is not installed.", hint=f"Install it as root: `{install_command('git', 'git-core')}`."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise GitFailed(f"git {arguments[0]} took longer than {timeout} seconds in {folder}.") from error
    if done.returncode:
        said = printable(done.stderr.decode(errors="replace").strip(), "\n\t")
        raise GitFailed(f"git {arguments[0]} failed in {folder}: {said[:2000]}")
    return done.stdout


def answer(folder: Path, *arguments: str) -> str:
    """Return the only line that git prints, or an empty text if the command fails."""
    try:
        return os.fsdecode(git(folder, *arguments)).removesuffix("\n")
    except GitFailed:
        return ""


def init_bare(folder: Path) -> None:
    """Create a bare repository, unless the folder is one."""
    if not (folder / "HEAD").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "--quiet", "--bare", "--template=", "--object-format=sha1", ".")


def commit(folder: Path, files: Mapping[str, bytes | Path], *, message: str, seconds: int) -> str:
    """Store files as a commit without parents, and return it. The same arguments make the same commit.

    Args:
        folder: A bare repository.
        files: Name -> content, or a file with the content, which git reads in parts.
        message: Message of the commit.
        seconds: Time of the commit, since the epoch.
    """
    rows = []
    for name, content in sorted(files.items()):
        blob = _blob(folder, content)
        rows.append(f"100644 blob {blob}\t".encode() + os.fsencode(name) + b"\0")
    tree = git(folder, "mktree", "-z", text=b"".join(rows)).strip().decode()
    return commit_tree(folder, tree, message=message, seconds=seconds)


def commit_tree(folder: Path, tree: str, *, message: str, seconds: int) -> str:
    """Store a commit of a tree without parents, and return it; see ``commit``."""
    date = f"@{seconds} +0000"
    return (
        git(
            folder,
            *("commit-tree", tree, "-m", message),
            environment={"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date},
        )
        .strip()
        .decode()
    )


def _blob(folder: Path, content: bytes | Path) -> str:
    """Store the content of a file, and return its name in git."""
    if isinstance(content, bytes):
        return git(folder, "hash-object", "-w", "--stdin", text=content).strip().decode()
    arguments = ("hash-object", "-w", "--no-filters", "--", str(content))
    return git(folder, *arguments, timeout=BIG_TIMEOUT).strip().decode()
