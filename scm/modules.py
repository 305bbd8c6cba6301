"""Read the modulemd file of a submission from git at the exact revision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mbs import names
from mbs.errors import InvalidInput
from scm.errors import ScmError
from scm.git import Repository, Snapshot
from scm.options import ScmOptions
from scm.urls import ScmUrl, check_scmurl


@dataclass(frozen=True)
class ModuleSource:
    """A modulemd file and its origin.

    Attributes:
        text: Content of the file.
        commit: The full commit of the revision.
        commit_time: Commit time in UTC, from which the module's version is made.
        name: Name of the repository, which is the module's name.
        repository: URL of the repository, as passed to git.
        path: Path of the file inside the repository.
    """

    text: str
    commit: str
    commit_time: datetime
    name: str
    repository: str
    path: str

    @property
    def scmurl(self) -> str:
        """The scm url of exactly this revision."""
        return f"{self.repository}?#{self.commit}"


def fetch_modulemd(scmurl: str, branch: str, options: ScmOptions) -> ModuleSource:
    """Read the modulemd file that an scm url names.

    Args:
        branch: Branch that the revision must be on; empty for no check (included modules).

    Raises:
        InvalidInput: ``scmurl_invalid``, ``branch_invalid`` (400).
        Forbidden: ``scmurl_not_allowed`` (403).
        ScmError: ``repository_unreachable``, ``repository_too_slow``, ``ref_unknown``,
            ``commit_not_on_branch``, ``no_modulemd`` or others (422).
    """
    url = check_scmurl(scmurl, options.allowed_prefixes, allow_custom=options.allow_custom)
    if branch and not names.REF.fits(branch):
        raise InvalidInput(f"{branch[:100]!r} is not a valid name of a branch.", code="branch_invalid")
    with Repository(url.repository, options) as repository:
        commit = repository.resolve(url.revision)
        if branch and options.commit_on_branch and not repository.is_on_branch(commit, branch):
            raise ScmError(
                f"Commit {commit} is not on the branch {branch!r} of {url.repository}.",
                code="commit_not_on_branch",
                tried=f"the history of refs/heads/{branch}",
                hint="Push the commit to this branch, or name the branch that it is on.",
            )
        snapshot = repository.snapshot(commit)
        path = _document(snapshot, url)
        text = _decode(snapshot.read(path, options.max_modulemd), path, url)
    return ModuleSource(text, commit, snapshot.time, url.name, url.repository, path)


def _document(snapshot: Snapshot, url: ScmUrl) -> str:
    """Return the path of ``<name>.yaml``, in the root folder or at the path in the url."""
    paths = [f"{url.name}.yaml"]
    if url.modpath:
        paths = [url.modpath, f"{url.modpath}/{url.name}.yaml"]
    for path in paths:
        if path in snapshot.files:
            return path
    raise ScmError(
        f"There is no modulemd file in {url.repository} at commit {snapshot.commit}.",
        code="no_modulemd",
        tried=", ".join(paths),
        hint=f"Commit the module's document as {paths[-1]}.",
    )


def _decode(content: bytes, path: str, url: ScmUrl) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ScmError(
            f"The file {path} in {url.repository} is not UTF-8 at byte {error.start}.",
            code="modulemd_not_text",
            hint="Save it as UTF-8.",
        ) from error
