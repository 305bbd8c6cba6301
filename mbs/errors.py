"""The errors of the service: each has a stable code for programs and a message and a hint for people.

The REST API maps the classes to HTTP statuses in one place (``builds.api.errors``); a build that
fails stores ``code``, ``message`` and ``hint`` as its ``error``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

#: codes of errors that the service or something it needs is to blame for; all others are the module's
_INFRASTRUCTURE = frozenset(
    {
        "internal_error",
        "worker_lost",
        "build_system_unavailable",
        "infrastructure_failed",
        "repository_failed",
        "rpmbuild_missing",
        "sandbox_failed",
        "srpm_stopped",
        "view_failed",
        "work_folder_taken",
    }
)


@dataclass(frozen=True)
class Problem:
    """One of several things that are wrong: what it concerns, what was tried, what to do."""

    code: str
    message: str
    component: str = ""
    key: str = ""
    line: int | None = None
    tried: str = ""
    hint: str = ""

    def as_dict(self) -> dict[str, str | int]:
        """The fields that say something."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}


class MBSError(Exception):
    """Base of all errors that a user may see.

    :param message: names the thing that is wrong.
    :param code: overrides the class's code with a more exact one.
    :param hint: what to do about it.
    :param problems: the single faults, where there are several.
    """

    code = "internal_error"

    def __init__(
        self, message: str, *, code: str = "", hint: str = "", problems: Sequence[Problem] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.hint = hint
        self.problems = tuple(problems)


class InvalidInput(MBSError):
    """A request is malformed (400)."""

    code = "invalid_input"


class NotAuthenticated(MBSError):
    """No credentials, or expired ones (401)."""

    code = "not_authenticated"


class Forbidden(MBSError):
    """Known, but not allowed (403)."""

    code = "forbidden"


class NotFound(MBSError):
    """No such thing (404)."""

    code = "not_found"


class Conflict(MBSError):
    """It exists already, or its state does not allow this (409)."""

    code = "conflict"


class TooLarge(MBSError):
    """A body or a document is over its bound (413)."""

    code = "too_large"


class Unprocessable(MBSError):
    """The modulemd is invalid, or what it names cannot be had (422)."""

    code = "unprocessable"


class TooManyRequests(MBSError):
    """Too many failed logins: wait (429)."""

    code = "too_many_requests"


class NotSupported(MBSError):
    """The configured build system has no such thing (501)."""

    code = "not_supported"


class Unavailable(MBSError):
    """Something that the service needs is away for now: try again (503)."""

    code = "unavailable"


class ConfigurationError(MBSError):
    """The configuration is wrong: the service does not start."""

    code = "configuration"


def failure_kind(code: str) -> str:
    """Return whose fault an error is, in the words of MBS 3.9.2: user, infra, or unspec."""
    if not code:
        return "unspec"
    return "infra" if code in _INFRASTRUCTURE or code.startswith("koji_") else "user"
