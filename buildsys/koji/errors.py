"""What a hub's refusals and outages mean here. docs/contract/koji.md, "Sessions and errors"."""

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

from buildsys.base import BuildSystemError, BuildSystemUnavailable

#: what is thrown when a connection breaks, at any place: in a header, or in the middle of an answer
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
#: faults that say nothing about the call: the session, the hub or its database is not fit for now
_PASSING = (
    koji.ServerOffline,
    koji.AuthExpired,
    koji.AuthLockError,
    koji.RetryError,
    koji.SequenceError,
    koji.LockError,
)
#: what the hub says when it has forgotten the session, as after its database was restored
_NO_SESSION = ("Invalid session", "Invalid callnum", "Not logged in")
#: in what the hub says of what another call has made meanwhile, or is making: of rows, builds and folders
TAKEN = "already exists"
_CLASS = re.compile(r"^[\w.]+(Error|NotAllowed|Expired|Offline|Fault): ")
_DOCTOR = "Run `mbs-manager doctor`: it says which permission is missing and how to grant it."


@contextmanager
def mapped(method: str = "") -> Iterator[None]:
    """Turn what the Koji client raises into the errors of build systems.

    Args:
        method: The hub's name of the call, for people.

    Raises:
        BuildSystemUnavailable: An outage, a lost answer, a session that has to be made anew, or a
            permission that is missing (``koji_not_allowed``).
        BuildSystemError: The hub refuses the call.
    """
    try:
        yield
    except _BROKEN as error:
        raise BuildSystemUnavailable(f"The Koji hub cannot be reached: {describe(error)}") from error
    except (koji.GenericError, Fault) as error:
        raise translate(error, method) from error


def is_answer_lost(error: Exception) -> bool:
    """Return whether the hub may have carried out a call that failed, or may do so yet."""
    return isinstance(error.__cause__, (*_BROKEN, koji.RetryError))


def translate(error: Exception, method: str = "") -> BuildSystemError | BuildSystemUnavailable:
    """Return the service's error for one that the hub answered to a call of ``method``."""
    text = describe(error)
    if isinstance(error, _PASSING):
        return BuildSystemUnavailable(f"The Koji hub does not serve for now: {text}")
    if isinstance(error, koji.ActionNotAllowed | koji.AuthError):
        if text.startswith(_NO_SESSION):
            return BuildSystemUnavailable(f"The Koji hub has ended the session: {text}", code="koji_session")
        # Rights come back, as credentials do: no module build is to fail for what an operator has to grant.
        return BuildSystemUnavailable(
            f"Koji does not allow {method or 'it'}: {text}", code="koji_not_allowed", hint=_DOCTOR
        )
    # A plain fault is an accident in the hub. Those of its database pass, others come again each time.
    if not isinstance(error, koji.GenericError) and "psycopg2" in text:
        return BuildSystemUnavailable(f"The Koji hub's database is in trouble: {text}")
    return BuildSystemError(f"Koji refuses{f' {method}' if method else ''}: {text}", code="koji_refused")


def describe(error: Exception) -> str:
    """What happened, in a line: hubs may be set to answer whole tracebacks."""
    text = error.faultString if isinstance(error, Fault) else str(error)
    return last_line(text) or type(error).__name__


def last_line(text: str) -> str:
    """The last line with words, without the name of an error's class before it, as in a traceback."""
    lines = [line.strip() for line in text.splitlines() if any(map(str.isalnum, line))]
    return _CLASS.sub("", lines[-1])[:1000] if lines else ""
