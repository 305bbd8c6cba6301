"""Translate refusals and outages of a hub (docs/contract/koji.md, "Sessions and errors")."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from xml.parsers.expat import ExpatError
from xmlrpc.client import Fault, ProtocolError, ResponseError

import koji
import requests
from urllib3.exceptions import HTTPError

from buildsys.base import BuildSystemError, BuildSystemUnavailable

#: Exceptions for a connection that breaks, in a header or in the middle of an answer.
_BROKEN = (
    requests.RequestException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
    HTTPException,
    ProtocolError,
    ResponseError,
    ExpatError,
)
#: Their texts contain the representation of the exception in whose handling they are raised.
_WRAPPERS = (requests.RequestException, HTTPError)
#: Exceptions that do not concern the call: the session, the hub or its database is unavailable.
_PASSING = (
    koji.ServerOffline,
    koji.AuthExpired,
    koji.AuthLockError,
    koji.RetryError,
    koji.SequenceError,
    koji.LockError,
)
#: Messages of a hub that lost the session, for example after its database was restored.
_NO_SESSION = ("Invalid session", "Invalid callnum", "Not logged in")
#: In the hub's messages about rows, builds and folders that another call made or is making.
TAKEN = "already exists"
_CLASS = re.compile(r"^[\w.]+(Error|NotAllowed|Expired|Offline|Fault): ")
_DOCTOR = "Run `mbs-manager doctor`, which names the missing permission and the command to grant it."


@contextmanager
def mapped(method: str = "") -> Iterator[None]:
    """Translate exceptions of the Koji client into errors of build systems.

    Args:
        method: Name of the call, for messages.

    Raises:
        BuildSystemUnavailable: An outage, a lost answer, an ended session, or a missing permission
            (``koji_not_allowed``).
        BuildSystemError: The hub refuses the call.
    """
    try:
        yield
    except _BROKEN as error:
        raise BuildSystemUnavailable(f"The Koji hub cannot be reached: {describe(error)}") from error
    except (koji.GenericError, Fault) as error:
        raise translate(error, method) from error


def is_answer_lost(error: Exception) -> bool:
    """Return whether the hub may carry out a failed call, or may have done so."""
    return isinstance(error.__cause__, (*_BROKEN, koji.RetryError))


def translate(error: Exception, method: str = "") -> BuildSystemError | BuildSystemUnavailable:
    """Return the service's error for an error of the hub.

    Args:
        method: Name of the call, for messages.
    """
    text = describe(error)
    if isinstance(error, _PASSING):
        return BuildSystemUnavailable(f"The Koji hub is unavailable at present: {text}")
    if isinstance(error, koji.ActionNotAllowed | koji.AuthError):
        if text.startswith(_NO_SESSION):
            return BuildSystemUnavailable(f"The Koji hub has ended the session: {text}", code="koji_session")
        # An operator can grant permissions, so a module build must not fail because of a missing one.
        return BuildSystemUnavailable(
            f"Koji does not allow {method or 'the call'}: {text.rstrip('.')}.",
            code="koji_not_allowed",
            hint=_DOCTOR,
        )
    # A plain fault is a failure inside the hub. Database faults are temporary, others are not.
    if not isinstance(error, koji.GenericError) and "psycopg2" in text:
        return BuildSystemUnavailable(f"The Koji hub's database failed: {text}")
    return BuildSystemError(f"Koji refuses{f' {method}' if method else ''}: {text}", code="koji_refused")


def describe(error: Exception) -> str:
    """Return an error in one line. Some hubs answer whole tracebacks."""
    text = error.faultString if isinstance(error, Fault) else str(_innermost(error))
    return last_line(text) or type(error).__name__


def _innermost(error: BaseException) -> BaseException:
    """Return the cause that requests and urllib3 wrap, for example that of the operating system."""
    wrapped = error.__context__ if isinstance(error, _WRAPPERS) else None
    return _innermost(wrapped) if wrapped else error


def last_line(text: str) -> str:
    """Return the last line with words, without the exception's class, as in a traceback."""
    lines = [line.strip() for line in text.splitlines() if any(map(str.isalnum, line))]
    return _CLASS.sub("", lines[-1])[:1000] if lines else ""
