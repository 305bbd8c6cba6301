"""Build components from git checkouts on this machine, with changes that are not committed if wanted.

The state of a work tree becomes a commit in a repository of the local build. The checkout, its index and its
objects are only read. Filters, hooks and other programs of its configuration do not run, so files are taken
as they are in the work tree.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mbs.client.local.git import BIG_TIMEOUT, GitFailed, answer, commit_tree, git, init_bare
from mbs.errors import InvalidInput, TooLarge
from mbs.modulemd import StreamV2
from mbs.names import NAME, REF
from mbs.text import printable
from scm.options import ScmOptions

#: Limits of the files in one work tree.
MAX_FILES, MAX_BYTES = 100_000, 2 << 30
#: Time of the commits, so that the same work tree always makes the same commit.
_SECONDS = 1_000_000_000
_GITLINK = b"160000"

Say = Callable[[str], None]
Sources = Mapping[str, tuple[str, str]]


def choices(texts: Sequence[str]) -> dict[str, Path]:
    """Return checkouts by component: ``["bash=../bash"]``.

    Raises:
        InvalidInput: A text does not have this form, or names no folder.
    """
    found = {}
    for text in texts:
        package, _, name = text.partition("=")
        if not NAME.fits(package) or not name:
            raise InvalidInput(f"{printable(text)!r} is not of the form PACKAGE=FOLDER.", code="bad_checkout")
        if not Path(name).is_dir():
            raise InvalidInput(
                f"{printable(name)} is not a folder.",
                code="bad_checkout",
                hint="Name a git checkout of the component.",
            )
        found[package] = Path(name)
    return found


def sources(
    documents: Sequence[StreamV2], chosen: Mapping[str, Path], store: Path, say: Say, *, uncommitted: bool
) -> Sources:
    """Return the components that are built from checkouts: component -> repository and commit.

    Args:
        documents: The documents of the module.
        chosen: Component -> checkout from which it is built instead of its repository.
        store: Folder for repositories with the states of work trees.
        say: Called with lines for the user.
        uncommitted: Build the state of the work tree, also of checkouts that the documents name as the
            repositories of components and whose checked out commit they want.

    Raises:
        InvalidInput: A chosen folder is not a usable checkout.
        TooLarge: A work tree exceeds a limit.
    """
    found: dict[str, tuple[str, str]] = {}
    for package, folder in chosen.items():
        top = _top(folder)
        head = answer(top, "rev-parse", "--verify", "--quiet", "HEAD^{commit}") if top else ""
        if top is None or not (head or uncommitted):
            raise InvalidInput(
                f"{printable(str(folder))} is not a git checkout with a commit.",
                code="bad_checkout",
                hint=f"Name a checkout of the component: --checkout {package}=FOLDER.",
            )
        changed = _state(top, head, store / package) if uncommitted else None
        found[package] = changed or _committed(top, head, store / package)
        say(f"{package} is built from {_described(changed, head)} of {printable(str(top))}.")
    if uncommitted:
        for package, top, ref in _named(documents):
            if package not in found and (changed := _wanted_state(package, top, ref, store, say)):
                found[package] = changed
                head = answer(top, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
                say(f"{package} is built from {_described(changed, head)} of {printable(str(top))}.")
    return found


def _described(changed: tuple[str, str] | None, head: str) -> str:
    commit = f"commit {head[:12]}" if head else "no commit"
    return f"uncommitted changes on {commit}" if changed else commit


def _named(documents: Sequence[StreamV2]) -> Iterator[tuple[str, Path, str]]:
    """Yield components whose repositories are checkouts on this machine, with their refs."""
    for document in documents:
        for package, component in document.rpm_components.items():
            try:
                parts = urlsplit(component.repository or "")
            except ValueError:
                continue
            folder = Path(unquote(parts.path))
            if parts.scheme == "file" and not parts.netloc and NAME.fits(package) and folder.is_dir():
                top = _top(folder)
                if top is not None and folder.resolve() in (top, top / ".git"):
                    yield package, top, component.ref or ScmOptions.default_branch


def _top(folder: Path) -> Path | None:
    """Return the root folder of a checkout; None if the folder is in none, or in a bare repository."""
    name = answer(folder, "rev-parse", "--show-toplevel")
    if not name and folder.name == ".git":
        name = answer(folder.parent, "rev-parse", "--show-toplevel")
    # The configuration of a checkout can name any folder of the machine as its work tree.
    return Path(name).resolve() if name and os.path.lexists(os.path.join(name, ".git")) else None


def _wanted_state(package: str, top: Path, ref: str, store: Path, say: Say) -> tuple[str, str] | None:
    """Return the changed state of a work tree, if it belongs to the commit that the document wants."""
    head = answer(top, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    wanted = answer(top, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}") if REF.fits(ref) else ""
    if not head or head != wanted:
        say(
            f"{package} is built from {printable(ref)} as it is committed, since that is not checked out in "
            f"{printable(str(top))}. To build its work tree: --checkout {package}={printable(str(top))}"
        )
        return None
    return _state(top, head, store / package)


def _committed(top: Path, head: str, repository: Path) -> tuple[str, str]:
    """Copy a commit to a repository of the local build, because a URL cannot express every path."""
    init_bare(repository)
    arguments = (
        "fetch",
        "--quiet",
        "--no-tags",
        "--force",
        "--update-shallow",
        str(top),
        f"{head}:refs/heads/main",
    )
    git(repository, *arguments, environment={"GIT_ALLOW_PROTOCOL": "file"}, timeout=BIG_TIMEOUT)
    return repository.as_uri(), head


def _state(top: Path, head: str, repository: Path) -> tuple[str, str] | None:
    """Store the state of a work tree; return its repository and commit, or None if nothing is changed."""
    init_bare(repository)
    tree = _tree(top, repository)
    if head and tree == answer(top, "rev-parse", "--verify", "--quiet", f"{head}^{{tree}}"):
        return None
    made = commit_tree(
        repository, tree, message=f"Take uncommitted changes on {head or 'no commit'}", seconds=_SECONDS
    )
    git(repository, "update-ref", "refs/heads/main", made)
    return repository.as_uri(), made


def _tree(top: Path, repository: Path) -> str:
    """Store the files of a work tree that git does not ignore, and return the tree."""
    try:
        listed = git(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard", timeout=BIG_TIMEOUT)
        staged = git(top, "ls-files", "-z", "--stage", timeout=BIG_TIMEOUT)
    except GitFailed as error:
        raise InvalidInput(
            f"The files of {printable(str(top))} cannot be listed: {error.message}", code="bad_checkout"
        ) from error
    rows = [
        facts.split(b" ")[0] + b" " + facts.split(b" ")[1] + b" 0\t" + name
        for facts, tab, name in (row.partition(b"\t") for row in staged.split(b"\0"))
        if tab and facts.startswith(_GITLINK)
    ]
    modules = {row.partition(b"\t")[2] for row in rows}
    names = [name for name in dict.fromkeys(listed.split(b"\0")) if name and name not in modules]
    files = list(_files(top, names))
    paths = b"".join(
        os.path.join(os.fsencode(top), name) + b"\n" for name, mode in files if mode != b"120000"
    )
    arguments = ("hash-object", "-w", "--no-filters", "--stdin-paths")
    blobs = iter(git(repository, *arguments, text=paths, timeout=BIG_TIMEOUT).split())
    for name, mode in files:
        if mode == b"120000":
            target = os.readlink(os.path.join(os.fsencode(top), name))
            blob = git(repository, "hash-object", "-w", "--stdin", text=target).strip()
        else:
            blob = next(blobs)
        rows.append(mode + b" " + blob + b" 0\t" + name)
    index = repository / "mbs-index"
    index.unlink(missing_ok=True)
    environment = {"GIT_INDEX_FILE": str(index)}
    text = b"".join(row + b"\0" for row in rows)
    git(repository, "update-index", "-z", "--index-info", text=text, environment=environment)
    return git(repository, "write-tree", "--missing-ok", environment=environment).strip().decode()


def _files(top: Path, names: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and modes of the files and links in a work tree; files that were deleted are left out."""
    root, size = os.fsencode(top), 0
    inside: dict[bytes, bool] = {}
    if len(names) > MAX_FILES:
        raise _too_large(top)
    for name in names:
        path = os.path.join(root, name)
        folder = os.path.dirname(path)
        if folder not in inside:
            # A folder that is now a link would lead out of the checkout.
            inside[folder] = os.path.realpath(folder) == os.path.normpath(folder)
        try:
            state = os.lstat(path)
        except OSError:
            continue
        if not inside[folder] or not (stat.S_ISREG(state.st_mode) or stat.S_ISLNK(state.st_mode)):
            continue
        if b"\n" in name or name.startswith(b'"'):
            raise InvalidInput(
                f"{printable(str(top))} contains a file whose name is not supported: "
                f"{printable(os.fsdecode(name))[:100]!r}.",
                code="bad_checkout",
                hint="Rename it.",
            )
        size += state.st_size
        if size > MAX_BYTES:
            raise _too_large(top)
        if stat.S_ISLNK(state.st_mode):
            yield name, b"120000"
        else:
            yield name, b"100755" if state.st_mode & stat.S_IXUSR else b"100644"


def _too_large(top: Path) -> TooLarge:
    return TooLarge(
        f"The work tree {printable(str(top))} has more than {MAX_FILES} files or {MAX_BYTES >> 30} GiB.",
        code="checkout_too_large",
        hint="Remove what is not a source, or list it in .gitignore.",
    )
