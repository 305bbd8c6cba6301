"""The modulemd file of a submission, read from git at the exact revision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from scm.options import ScmOptions


@dataclass(frozen=True)
class ModuleSource:
    """A modulemd file and where it comes from.

    :param text: the file; parsing it is not this package's business.
    :param commit: the full commit that the revision stands for.
    :param commit_time: when it was committed, in UTC; the module's version is taken from it.
    :param name: the repository's name, which is the module's.
    :param repository: the url of the repository, as git got it.
    :param path: of the file inside the repository.
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

    :param branch: that the revision must be part of; empty: not checked (included modules).
    :raises InvalidInput: ``scmurl_invalid``, ``branch_invalid`` (400).
    :raises Forbidden: ``scmurl_not_allowed`` (403).
    :raises ScmError: (422) ``repository_unreachable``, ``ref_unknown``, ``commit_not_on_branch``,
        ``no_modulemd``, ...
    """
    raise NotImplementedError
