"""The modulemd file of a submission, read from git at the exact revision."""

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
    """A modulemd file and where it comes from.

    Attributes:
        text: The file; parsing it is not this package's business.
        commit: The full commit that the revision stands for.
        commit_time: When it was committed, in UTC; the module's version is taken from it.
        name: The repository's name, which is the module's.
        repository: The url of the repository, as git got it.
        path: Of the file inside the repository.
    """

    text: str
    commit: str
    commit_time: datetime
    name: str
    repository: str
    path: str

    @property
    def scmurl(self) -> str:
        """The scm url of exactly this document's revision."""
        return f"{self.repository}?#{self.commit}"


def fetch_modulemd(scmurl: str, branch: str, options: ScmOptions) -> ModuleSource:
    """Read the modulemd file that an scm url names.

    Args:
        branch: That the revision must be part of; empty: not checked (included modules).

    Raises:
        InvalidInput: ``scmurl_invalid``, ``branch_invalid`` (400).
        Forbidden: ``scmurl_not_allowed`` (403).
        ScmError: (422) ``repository_unreachable``, ``ref_unknown``, ``commit_not_on_branch``,
            ``no_modulemd``, ...
    """
    url = check_scmurl(scmurl, options.allowed_prefixes, allow_custom=options.allow_custom)
    if branch and not names.REF.fits(branch):
        raise InvalidInput(f"{branch[:100]!r} cannot be the name of a branch.", code="branch_invalid")
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
    """Path of the modulemd file: ``<name>.yaml``, in the folder or at the path that the url gives."""
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
