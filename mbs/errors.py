"""The errors of the service.

Each has a stable code for programs, and a message and a hint for people. ``builds.api.errors`` maps the
classes to HTTP statuses. A build that fails stores code, message and hint as its ``error``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

#: Codes of errors that are caused by the service or its infrastructure; others are caused by the module.
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
    """One of several faults.

    Attributes:
        component: Key of the component that is at fault.
        key: Name of the field or option that is at fault.
        tried: Addresses or names that were tried.
        hint: What to do.
    """

    code: str
    message: str
    component: str = ""
    key: str = ""
    line: int | None = None
    tried: str = ""
    hint: str = ""

    def as_dict(self) -> dict[str, str | int]:
        """Return the fields that are not empty."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}


class MBSError(Exception):
    """Base class of all errors that are shown to users.

    Args:
        message: What is wrong, with the name of the thing.
        code: A more specific code than that of the class.
        hint: What to do.
        problems: The single faults, if there are several.
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
    """400: A parameter or a key of the body is not valid; the message names it."""

    code = "invalid_input"


class NotAuthenticated(MBSError):
    """401: The credentials are missing or have expired."""

    code = "not_authenticated"


class Forbidden(MBSError):
    """403: The user may not do this."""

    code = "forbidden"


class NotFound(MBSError):
    """404: The requested resource does not exist."""

    code = "not_found"


class Conflict(MBSError):
    """409: The resource exists already, or its state does not allow the request."""

    code = "conflict"


class TooLarge(MBSError):
    """413: A body or a document exceeds its size limit."""

    code = "too_large"


class Unprocessable(MBSError):
    """422: The modulemd is invalid, or names something that does not exist."""

    code = "unprocessable"


class TooManyRequests(MBSError):
    """429: This address has too many failed logins, streams or waiting requests; see Retry-After.

    Args:
        message: Of what there are too many.
        retry_after: Seconds after which the client may try again.
        code: A more specific code than that of the class.
        hint: What to do.
    """

    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after: float, code: str = "", hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)
        self.retry_after = retry_after


class NotSupported(MBSError):
    """501: The configured build system does not support the request."""

    code = "not_supported"


class Unavailable(MBSError):
    """503: The database, the broker or another service is unavailable; nothing was recorded."""

    code = "unavailable"


class ConfigurationError(MBSError):
    """The configuration is wrong, so the service does not start."""

    code = "configuration"


def failure_kind(code: str) -> str:
    """Return whose fault an error is, in the words of MBS 3.9.2: user, infra, or unspec."""
    if not code:
        return "unspec"
    return "infra" if code in _INFRASTRUCTURE or code.startswith("koji_") else "user"
