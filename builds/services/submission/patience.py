"""Limit the time for which a request waits for git, in total for all repositories that it reads."""

from __future__ import annotations

import time
from dataclasses import replace

from django.conf import settings

from scm.errors import TOO_SLOW, ScmError
from scm.modules import ModuleSource, fetch_modulemd
from scm.options import ScmOptions


class Patience:
    """The ``SCM_SUBMIT_TIMEOUT`` seconds of a request, which begin when this object is created."""

    def __init__(self) -> None:
        self._seconds = settings.MBS.SCM_SUBMIT_TIMEOUT
        self._ends = time.monotonic() + self._seconds

    @property
    def left(self) -> float:
        """Return the seconds that are left, at least 0."""
        return max(0.0, self._ends - time.monotonic())

    def fetch(self, scmurl: str, branch: str, options: ScmOptions) -> ModuleSource:
        """Read a modulemd file in the time that is left.

        Args:
            scmurl: Address of the module.
            branch: Branch that the revision must be on; empty for no check.
            options: Limits and permissions.

        Raises:
            ScmError: ``repository_too_slow`` if the time is over; see ``fetch_modulemd`` for others.
        """
        try:
            return fetch_modulemd(scmurl, branch, replace(options, timeout=min(self.left, options.timeout)))
        except ScmError as error:
            if error.code != TOO_SLOW:
                raise
            raise ScmError(
                f"{error.message} A request waits {self._seconds:g} seconds at most for all repositories.",
                code=TOO_SLOW,
                tried=error.tried,
                hint="Nothing was recorded: send the request again when the git server is faster. If it is "
                "always slow, ask the service's operator to raise SCM_SUBMIT_TIMEOUT.",
            ) from error
