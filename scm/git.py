"""Reading single commits of repositories: bare, shallow and temporary. Nothing is ever checked out."""

from __future__ import annotations

import posixpath
import re
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from mbs.names import REF
from scm.errors import ScmError
from scm.folder import LockedFolder
from scm.hosts import pin
from scm.options import ScmOptions
from scm.process import GitFailed, GitOutputTooLarge, GitRunner, GitTimeout
from scm.urls import parse_repository

_FULL = re.compile(r"[0-9a-f]{40}")
_ABBREVIATED = re.compile(r"[0-9a-f]{4,39}")
_LINKS = 5  # symbolic links followed inside a commit
_LINK_BYTES = 4096
_RETRY_AFTER = 1.0  # seconds
_LAST_SECOND = 253402300799  # of the year 9999
#: git's words for faults that trying again does not mend.
_FINAL = re.compile(
    r"not our ref|unadvertised object|remote ref|not found|does not (appear|exist)|denied|prompts disabled"
    r"|dubious ownership|returned error: [34]\d\d|not allowed|not supported",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Entry:
    """A file of a commit: git's mode (``100644``, ``120000`` for a symbolic link ...) and blob."""

    mode: str
    blob: str


@dataclass(frozen=True)
class Snapshot:
    """The files of one commit; reads from the repository that made it, while that is open.

    Attributes:
        time: When it was committed, in UTC.
        files: Path -> entry, of all folders, without submodules.
    """

    commit: str
    time: datetime
    files: Mapping[str, Entry]
    repository: Repository

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file, of at most ``limit`` bytes. Symbolic links inside the commit are followed.

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
            hint="Commit the file, or mend the symbolic link.",
        )


class Repository(AbstractContextManager["Repository"]):
    """A temporary view of a remote repository; it disappears with the ``with`` block.

    Args:
        url: Without revision; ``options.timeout`` runs from here.

    Raises:
        InvalidInput: ``repository_invalid``.
        ScmError: ``address_not_public``, ``repository_unreachable`` (see ``scm.hosts``), or when
            not even a temporary repository can be made in time.
    """

    def __init__(self, url: str, options: ScmOptions) -> None:
        address = parse_repository(url)
        self.url = address.url
        self._options = options
        pinned = pin(address, options)
        self._attempts = 1 if address.transport == "file" else options.attempts
        self._folder = LockedFolder()
        try:
            self._git = GitRunner(Path(self._folder.name), address.transport, options, pinned)
        except GitFailed as error:
            raise self._fault(error, "git init of a temporary repository") from error
        self._has_history = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    @property
    def git_dir(self) -> Path:
        """The bare repository itself, for whoever checks it out inside a sandbox."""
        return self._git.git_dir

    def resolve(self, ref: str) -> str:
        """The full commit that a ref stands for: a branch, else a tag, else a commit.

        Only a full commit goes before a branch: its 40 digits are what a submission pins.

        Raises:
            ScmError: ``ref_unknown``, ``repository_unreachable``, ``repository_too_large``.
        """
        if not REF.fits(ref):
            raise self._unknown(ref, "nothing: it can be no ref")
        if _FULL.fullmatch(ref):
            return self._commit(ref)
        names = [ref, f"{ref}^{{}}"] if ref.startswith("refs/") or ref == "HEAD" else _names(ref)
        heads = self._list(*names)
        # An annotated tag is listed twice: itself, then with ^{} the commit it stands for.
        for name in [ref, f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}"]:
            target = heads.get(f"{name}^{{}}") or heads.get(name)
            if target:
                return self._commit(target)
        if _ABBREVIATED.fullmatch(ref):
            self._fetch_history()
            return self._commit(ref)
        raise self._unknown(ref, f"branch refs/heads/{ref}, tag refs/tags/{ref}")

    def snapshot(self, commit: str) -> Snapshot:
        """The files of a commit that ``resolve`` answered.

        Raises:
            ScmError: ``repository_too_large`` when it has too many files; ``commit_date_invalid``.
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
                hint="Commit again with the clock set right.",
            )
        return Snapshot(commit, datetime.fromtimestamp(seconds, UTC), _entries(listing), self)

    def is_on_branch(self, commit: str, branch: str) -> bool:
        """Whether a commit that ``resolve`` answered is part of a branch.

        Raises:
            ScmError: ``ref_unknown`` when there is no such branch.
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

    def read_blob(self, blob: str, path: str, limit: int) -> bytes:
        """The content of a blob; ``path`` is for the message.

        Raises:
            ScmError: ``file_too_large``.
        """
        try:
            return self._git.run("cat-file", "blob", blob, limit=limit)
        except GitOutputTooLarge as error:
            raise ScmError(
                f"The file {path!r} in {self.url} is larger than {limit} bytes.",
                code="file_too_large",
                hint="Make it smaller, or ask the service's operator for a higher bound.",
            ) from error
        except GitFailed as error:
            raise self._fault(error, f"the file {path!r}") from error

    def _commit(self, name: str) -> str:
        """The commit that a full or abbreviated object name stands for, fetched when it is not here yet."""
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
        """Fetch a single commit, or everything where the server serves only what refs name.

        A server that answers "not our ref" has looked: fetching everything would not bring the commit.
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
        """Name -> object, of the refs that the repository has among ``names``."""
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
            hint="Name a branch, a tag or a commit of this repository; perhaps it was not pushed.",
        )

    def _fault(self, error: GitFailed, tried: str) -> ScmError:
        if isinstance(error, GitOutputTooLarge):
            return ScmError(
                f"The repository {self.url} is too large: {error.said}.",
                code="repository_too_large",
                tried=tried,
                hint="Name a full commit or a branch, so that only one commit is read; else make it smaller.",
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
