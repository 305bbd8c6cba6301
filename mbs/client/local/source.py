"""Find the module's document: in a git checkout, in a file, or in a repository at a URL."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mbs.client.local.git import GitFailed, answer, git
from mbs.errors import InvalidInput, MBSError, TooLarge
from mbs.modulemd import StreamV2
from mbs.modulemd.parsing import parse_streams
from mbs.names import NAME, REF
from mbs.text import printable
from scm.options import ScmOptions

MAX_DOCUMENT = ScmOptions.max_modulemd
#: Candidates that a message lists.
_LISTED = 10


@dataclass(frozen=True)
class Source:
    """A module's document and its origin.

    Attributes:
        text: The document.
        file_name: Name of its file without suffix, which names the module if the document does not.
        branch: Branch of the checkout; empty if there is none.
        key: Identifies the checkout, the file or the repository.
        seconds: Time of the commit that contains the document; None if it is in no commit.
        origin: The origin, for people.
        left_out: Whether the checkout contains changes of the document that ``text`` lacks.
    """

    text: str
    file_name: str
    branch: str
    key: str
    seconds: int | None
    origin: str
    left_out: bool = False

    def documents(self) -> list[StreamV2]:
        """Return the document, one for each stream that it describes.

        Raises:
            ModulemdError: It is not a valid module.
        """
        name = self.file_name if NAME.fits(self.file_name) else ""
        return list(parse_streams(self.text, strict=False, name=name, stream=stream_of(self.branch)))


def stream_of(branch: str) -> str:
    """Return the stream of a branch, as the service does."""
    return branch.replace("-", "_")


def find_source(place: str, *, branch: str = "", uncommitted: bool = False, network: bool = True) -> Source:
    """Read the document that the argument SOURCE means.

    Args:
        place: A folder, a modulemd file, or the URL of a repository or a commit.
        branch: Branch of a URL.
        uncommitted: Include changes of the checkout that are not committed.
        network: Whether a URL of another machine may be read.

    Raises:
        MBSError: There is no document, or it cannot be read.
    """
    if "://" in place:
        if uncommitted:
            raise InvalidInput(
                "--uncommitted needs a checkout, not a URL.", code="no_checkout", hint="Leave it out."
            )
        return _at_url(place, branch, network)
    path = Path(place)
    if path.is_dir():
        return _in_checkout(path, uncommitted)
    if path.exists():
        return _in_file(path)
    raise InvalidInput(
        f"There is no {printable(place)!r}.",
        code="bad_source",
        hint="Name a checkout of the module, a modulemd file, or the URL of a repository.",
    )


def _in_checkout(folder: Path, uncommitted: bool) -> Source:
    try:
        top = Path(os.fsdecode(git(folder, "rev-parse", "--show-toplevel")).removesuffix("\n"))
    except GitFailed as error:
        raise InvalidInput(
            f"{printable(str(folder.resolve()))} is not a git checkout.",
            code="no_checkout",
            hint=f"Name a checkout, or a modulemd file: mbs local FILE. ({error.message})",
        ) from error
    head = answer(top, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if not head and not uncommitted:
        raise InvalidInput(
            f"{printable(str(top))} has no commit.",
            code="no_commit",
            hint="Commit the document, or add --uncommitted.",
        )
    committed = _committed(top, head) if head else {}
    present = {path.name for path in top.iterdir()} if uncommitted else set(committed)
    name = _choose(present, top)
    there = _working(top / name)
    kept = _blob(top, committed[name], name) if name in committed else None
    if uncommitted:
        content = _read(top / name)
        seconds = _seconds(top, head) if content == kept else None
    else:
        assert kept is not None, "the name is one of those that are committed"
        content, seconds = kept, _seconds(top, head)
    mark = "" if seconds is not None else "uncommitted changes on "
    return Source(
        text=_decoded(content, name),
        file_name=PurePosixPath(name).stem,
        branch=answer(top, "symbolic-ref", "--quiet", "--short", "HEAD"),
        key=str(top),
        seconds=seconds,
        origin=f"{mark}{'commit ' + head[:12] if head else 'no commit'} of {printable(str(top))}",
        left_out=not uncommitted and there != kept,
    )


def _committed(top: Path, commit: str) -> dict[str, tuple[str, str]]:
    """Return mode and blob of the files in the root folder of a commit."""
    found = {}
    for row in os.fsdecode(git(top, "ls-tree", "-z", "--full-tree", commit)).split("\0"):
        facts, tab, name = row.partition("\t")
        if tab:
            mode, kind, blob = facts.split(" ")
            if kind == "blob":
                found[name] = (mode, blob)
    return found


def _choose(names: Iterable[str], top: Path) -> str:
    """Return the file with the document: named after the repository or the folder, otherwise the only one."""
    found = sorted(name for name in names if name.endswith((".yaml", ".yml")) and not name.startswith("."))
    remote = answer(top, "config", "--get", "remote.origin.url").rstrip("/").rpartition("/")[2]
    for stem in (remote.removesuffix(".git"), top.name):
        for name in (f"{stem}.yaml", f"{stem}.yml"):
            if name in found:
                return name
    if len(found) == 1:
        return found[0]
    listed = ", ".join(printable(name) for name in found[:_LISTED])
    raise InvalidInput(
        f"{printable(str(top))} has several YAML files: {listed}."
        if found
        else f"{printable(str(top))} contains no modulemd file.",
        code="no_modulemd",
        hint="Name the file: mbs local FILE."
        if found
        else f"Add {printable(top.name)}.yaml, or name a file: mbs local FILE.",
    )


def _blob(top: Path, entry: tuple[str, str], name: str) -> bytes:
    mode, blob = entry
    if not mode.startswith("100"):
        raise _not_regular(name)
    size = int(git(top, "cat-file", "-s", blob))
    if size > MAX_DOCUMENT:
        raise _too_large(name)
    return git(top, "cat-file", "blob", blob)


def _working(path: Path) -> bytes | None:
    """Return the content of a file of the checkout, or None if it is not readable."""
    try:
        return _read(path)
    except MBSError:
        return None


def _read(path: Path, *, follow: bool = False) -> bytes:
    """Read a regular file of bounded size."""
    # Without O_NONBLOCK, opening a pipe would wait for a writer.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    if path.is_symlink() and not follow:
        raise _not_regular(path.name)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise InvalidInput(
            f"{printable(str(path))} cannot be read: {error.strerror}.", code="bad_source"
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _not_regular(path.name)
        content = file.read(MAX_DOCUMENT + 1)
    if len(content) > MAX_DOCUMENT:
        raise _too_large(path.name)
    return content


def _seconds(top: Path, commit: str) -> int:
    return int(git(top, "log", "-1", "--no-show-signature", "--format=%ct", commit, "--"))


def _in_file(path: Path) -> Source:
    """Return the document in a file as it is, committed or not."""
    folder = path.resolve().parent
    content = _read(path, follow=True)
    return Source(
        text=_decoded(content, path.name),
        file_name=path.stem,
        branch=answer(folder, "symbolic-ref", "--quiet", "--short", "HEAD"),
        key=str(path.resolve()),
        seconds=None,
        origin=f"the file {printable(str(path))}",
    )


def _at_url(url: str, branch: str, network: bool) -> Source:
    # GitPython takes a fifth of a second to import.
    from scm.modules import fetch_modulemd

    location, _, revision = url.partition("#")
    revision = revision or branch
    if not REF.fits(revision):
        raise InvalidInput(
            f"{printable(url)!r} names neither a branch nor a commit.",
            code="missing_branch",
            hint="Add --branch BRANCH, or name a commit: https://HOST/PATH?#COMMIT.",
        )
    options = ScmOptions(allow_custom=True, allow_private=True, network=network)
    location = location if "?" in location else f"{location}?"
    found = fetch_modulemd(f"{location}#{revision}", branch, options)
    named = branch or (revision if found.commit != revision else "")
    return Source(
        text=found.text,
        file_name=found.name,
        branch=named,
        key=location,
        seconds=int(found.commit_time.timestamp()),
        origin=f"commit {found.commit[:12]} of {found.repository}",
    )


def digest(*parts: str) -> str:
    """Return a short name for some texts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:10]


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{printable(name)} is not UTF-8 text: {error.reason} at byte {error.start}.", code="bad_source"
        ) from error


def _not_regular(name: str) -> InvalidInput:
    return InvalidInput(
        f"{printable(name)} is not a regular file.",
        code="bad_source",
        hint="Name the file that it links to: mbs local FILE.",
    )


def _too_large(name: str) -> TooLarge:
    return TooLarge(
        f"{printable(name)} is larger than {MAX_DOCUMENT} bytes.",
        code="file_too_large",
        hint="A modulemd file has some kilobytes: name the right file.",
    )
