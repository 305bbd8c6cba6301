"""The error for modules and components that cannot be read from git (422)."""

from __future__ import annotations

from mbs.errors import Problem, Unprocessable

#: Code of the error for a repository that was not read in time.
TOO_SLOW = "repository_too_slow"


class ScmError(Unprocessable):
    """A module or component cannot be read from git.

    Codes: ``repository_unreachable``, ``repository_too_slow``, ``repository_too_large``,
    ``repository_not_allowed``, ``address_not_public``, ``ref_unknown``, ``commit_not_on_branch``,
    ``commit_date_invalid``, ``file_too_large``, ``file_unknown``, ``no_modulemd``, ``modulemd_not_text``,
    ``no_spec``, ``two_specs``, ``spec_invalid``, ``spec_incomplete``, ``spec_over_bounds``,
    ``source_missing``, ``out_of_time``.

    Args:
        tried: Addresses, files or commands that were tried.
    """

    code = "scm_error"

    def __init__(self, message: str, *, code: str, tried: str = "", hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)
        self.tried = tried

    def problem(self, component: str) -> Problem:
        """Return the error as a problem of a component."""
        return Problem(self.code, self.message, component=component, tried=self.tried, hint=self.hint)
