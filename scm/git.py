"""Read single commits of git repositories without checking them out.

The repositories are bare, shallow and temporary.
"""

from __future__ import annotations

import posixpath
import re
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mbs.names import REF
from scm.errors import TOO_SLOW, ScmError
from scm.folder import LockedFolder
from scm.hosts import pin
from scm.options import ScmOptions
from scm.process import GitFailed, GitOutputTooLarge, GitRunner, GitTimeout
from scm.urls import parse_repository

_FULL = re.compile(r"[0-9a-f]{40}")
_ABBREVIATED = re.compile(r"[0-9a-f]{4,39}")
#: Max symbolic links that are followed inside a commit.
_LINKS = 5
_LINK_BYTES = 4096
#: Seconds between two attempts.
_RETRY_AFTER = 1.0
#: The last second of the year 9999.
_LAST_SECOND = 253402300799
#: Parts of git's messages about faults that another attempt does not solve.
_FINAL = re.compile(
    r"not our ref|unadvertised object|remote ref|not found|does not (appear|exist)|denied|prompts disabled"
    r"|dubious ownership|returned error: [34]\d\d|not allowed|not supported",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Entry:
    """A file of a commit: git's mode (``100644``, ``120000`` for a symbolic link, ...) and blob."""

    mode: str
    blob: str


@dataclass(frozen=True)
class Snapshot:
    """The files of one commit, readable while its repository is open.

    Attributes:
        time: Commit time in UTC.
        files: Path -> entry, in all folders, without submodules.
    """

    commit: str
    time: datetime
    files: Mapping[str, Entry]
    repository: Repository

    def read(self, path: str, limit: int) -> bytes:
        """Return the content of a file, following symbolic links inside the commit.

        Args:
            limit: Max bytes.

        Raises:
            ScmError: ``file_too_large``, ``file_unknown``.
        """
        target = path
        for _ in range(_LINKS):
            entry = self.files.get(target)
            if entry is None:
                break
            if entry.mode != "120000":
                return self.repository.read_blob(entry.blob, path, limit)
            link = self.repository.read_blob(entry.blob, path, _LINK_BYTES).decode("utf-8", "surrogateescape")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(target), link))
        raise ScmError(
            f"There is no file {path!r} in commit {self.commit} of {self.repository.url}.",
            code="file_unknown",
            hint="Commit the file, or correct the symbolic link.",
        )


class Repository(AbstractContextManager["Repository"]):
    """A temporary view of a remote repository, which is removed at the end of the ``with`` block.

    Args:
        url: URL without revision.
        options: ``options.timeout`` begins here.

    Raises:
        InvalidInput: ``repository_invalid``.
        ScmError: ``address_not_public`` or ``repository_unreachable`` (see ``scm.hosts``), or
            ``repository_too_slow``: no temporary repository could be created in time.
    """

    def __init__(self, url: str, options: ScmOptions) -> None:
        address = parse_repository(url)
        self.url = address.url
        self._options = options
        ends = time.monotonic() + options.timeout
        pinned = pin(address, options)
        self._attempts = 1 if address.transport == "file" else options.attempts
        self._folder = LockedFolder()
        try:
            self._git = GitRunner(Path(self._folder.name), address.transport, options, ends, pinned)
        except GitFailed as error:
            raise self._fault(error, "git init of a temporary repository") from error
        self._has_history = False

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    @property
    def git_dir(self) -> Path:
        """The path of the bare repository, to check it out inside a sandbox."""
        return self._git.git_dir

    def resolve(self, ref: str) -> str:
        """Return the full commit of a ref: a branch, otherwise a tag, otherwise a commit.

        Only a full commit takes precedence over a branch, because submissions pin full commits.

        Raises:
            ScmError: ``ref_unknown``, ``repository_unreachable``, ``repository_too_slow``,
                ``repository_too_large``.
        """
        if not REF.fits(ref):
            raise self._unknown(ref, "nothing, since git allows no such ref")
        if _FULL.fullmatch(ref):
            return self._commit(ref)
        names = [ref, f"{ref}^{{}}"] if ref.startswith("refs/") or ref == "HEAD" else _names(ref)
        heads = self._list(*names)
        # git lists an annotated tag twice: itself, and with ^{} the commit that it points to.
        for name in [ref, f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}"]:
            target = heads.get(f"{name}^{{}}") or heads.get(name)
            if target:
                return self._commit(target)
        if _ABBREVIATED.fullmatch(ref):
            self._fetch_history()
            return self._commit(ref)
        raise self._unknown(ref, f"branch refs/heads/{ref}, tag refs/tags/{ref}")

    def snapshot(self, commit: str) -> Snapshot:
        """Return the files of a commit that ``resolve`` returned.

        Raises:
            ScmError: ``repository_too_large`` (too many files), ``commit_date_invalid``.
        """
        try:
            seconds = int(self._git.run("log", "-1", "--format=%ct", commit, "--"))
            listing = self._git.run("ls-tree", "-rz", "--full-tree", commit, limit=self._options.max_listing)
        except GitFailed as error:
            raise self._fault(error, f"the list of files of commit {commit}") from error
        if not 0 <= seconds <= _LAST_SECOND:
            raise ScmError(
                f"Commit {commit} of {self.url} has an impossible date.",
                code="commit_date_invalid",
                tried=f"{seconds} seconds since 1970",
                hint="Set the clock and commit again.",
            )
        return Snapshot(commit, datetime.fromtimestamp(seconds, UTC), _entries(listing), self)

    def is_on_branch(self, commit: str, branch: str) -> bool:
        """Return whether a commit that ``resolve`` returned is on a branch.

        Raises:
            ScmError: ``ref_unknown``: the branch does not exist.
        """
        name = f"refs/heads/{branch}"
        head = self._list(name).get(name) if REF.fits(branch) else None
        if head is None:
            raise self._unknown(branch, f"branch {name}")
        if head == commit:
            return True
        self._fetch("--", self.url, f"+{name}:{name}", tried=f"git fetch {self.url} {name}")
        try:
            self._git.run("merge-base", "--is-ancestor", commit, name)
        except GitFailed as error:
            if isinstance(error, GitTimeout):
                raise self._fault(error, f"whether {commit} is on {branch}") from error
            return False
        return True

    def log(self, old: str, new: str, most: int, limit: int) -> bytes:
        """Return ``<commit> <subject>NUL`` of the commits of ``new`` that ``old`` does not contain.

        Args:
            old: Full commit.
            new: Full commit.
            most: Max commits.
            limit: Max bytes.

        Raises:
            ScmError: The repository cannot be read, or does not have ``new``.
        """
        depth = (f"--depth={most}", "--filter=tree:0")
        try:
            self._retrying("fetch", *_FETCH, *depth, "--", self.url, new)
            shown = ("log", "-z", f"--max-count={most}", "--format=%H %s")
            excluded = (f"^{old}",) if self._peeled(old) else ()
            return self._git.run(*shown, new, *excluded, "--", limit=limit)
        except GitFailed as error:
            raise self._fault(error, f"git log {old}..{new}") from error

    def read_blob(self, blob: str, path: str, limit: int) -> bytes:
        """Return the content of a blob.

        Args:
            path: Path of the file, for messages.
            limit: Max bytes.

        Raises:
            ScmError: ``file_too_large``.
        """
        try:
            return self._git.run("cat-file", "blob", blob, limit=limit)
        except GitOutputTooLarge as error:
            raise ScmError(
                f"The file {path!r} in {self.url} is larger than {limit} bytes.",
                code="file_too_large",
                hint="Make it smaller, or ask the service's operator for a higher limit.",
            ) from error
        except GitFailed as error:
            raise self._fault(error, f"the file {path!r}") from error

    def _commit(self, name: str) -> str:
        """Return the commit of a full or abbreviated object name, and fetch it if necessary."""
        commit = self._peeled(name)
        if commit is None and _FULL.fullmatch(name):
            self._fetch_commit(name)
            commit = self._peeled(name)
        if commit is None:
            raise self._unknown(name, "commit " + name)
        return commit

    def _peeled(self, name: str) -> str | None:
        try:
            return (
                self._git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
                .decode()
                .strip()
            )
        except GitTimeout as error:
            raise self._fault(error, f"commit {name}") from error
        except GitFailed:
            return None

    def _fetch_commit(self, commit: str) -> None:
        """Fetch a single commit, or all refs if the server does not serve single commits.

        If the server answers "not our ref", it does not have the commit, so fetching all refs is pointless.
        """
        try:
            self._retrying("fetch", *_FETCH, "--depth=1", "--", self.url, commit)
        except GitFailed as error:
            if isinstance(error, GitTimeout | GitOutputTooLarge):
                raise self._fault(error, f"git fetch {self.url} {commit}") from error
            if "not our ref" in error.said:
                raise self._unknown(commit, f"git fetch {self.url} {commit}") from error
            self._fetch_history()

    def _fetch_history(self) -> None:
        if not self._has_history:
            refs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            self._fetch("--", self.url, *refs, tried=f"git fetch {self.url} (all branches and tags)")
            self._has_history = True

    def _fetch(self, *arguments: str, tried: str) -> None:
        try:
            self._retrying("fetch", *_FETCH, *arguments)
        except GitFailed as error:
            raise self._fault(error, tried) from error

    def _list(self, *names: str) -> dict[str, str]:
        """Return name -> object of those refs in ``names`` that the repository has."""
        tried = f"git ls-remote {self.url} {names[0]}"
        try:
            output = self._retrying(
                "ls-remote", "--quiet", "--", self.url, *names, limit=self._options.max_listing
            )
        except GitFailed as error:
            raise self._fault(error, tried) from error
        rows = (
            line.split("\t", 1) for line in output.decode("utf-8", "replace").splitlines() if "\t" in line
        )
        return {name: target for target, name in rows if name in names and _FULL.fullmatch(target)}

    def _retrying(self, *arguments: str, limit: int = 65536) -> bytes:
        for attempt in range(1, self._attempts + 1):
            try:
                return self._git.run(*arguments, limit=limit)
            except (GitTimeout, GitOutputTooLarge):
                raise
            except GitFailed as error:
                if attempt == self._attempts or _FINAL.search(error.said):
                    raise
                time.sleep(_RETRY_AFTER)
        raise AssertionError("unreachable")

    def _unknown(self, ref: str, tried: str) -> ScmError:
        return ScmError(
            f"There is no {ref[:100]!r} in {self.url}.",
            code="ref_unknown",
            tried=tried,
            hint="Name a branch, tag or commit of this repository, and check that it was pushed.",
        )

    def _fault(self, error: GitFailed, tried: str) -> ScmError:
        if isinstance(error, GitOutputTooLarge):
            return ScmError(
                f"The repository {self.url} is too large: {error.said}.",
                code="repository_too_large",
                tried=tried,
                hint="Name a full commit or a branch, so that only one commit is read.",
            )
        if isinstance(error, GitTimeout):
            return ScmError(
                f"The repository {self.url} could not be read in time: {error.said}.",
                code=TOO_SLOW,
                tried=tried,
                hint="Try again later; perhaps the server answers slowly today.",
            )
        return ScmError(
            f"The repository {self.url} cannot be read: {error.said}.",
            code="repository_unreachable",
            tried=tried,
            hint="Check the address, and that it can be read without logging in; or try again later.",
        )


_FETCH = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")


def _names(ref: str) -> list[str]:
    return [f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/tags/{ref}^{{}}"]


def _entries(listing: bytes) -> dict[str, Entry]:
    """Parse ``<mode> <type> <object>TAB<path>NUL`` of ``git ls-tree -z``."""
    entries = {}
    for row in listing.decode("utf-8", "surrogateescape").split("\0"):
        facts, tab, path = row.partition("\t")
        if tab:
            mode, kind, blob = facts.split(" ")
            if kind == "blob":
                entries[path] = Entry(mode, blob)
    return entries
