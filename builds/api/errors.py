"""Map exceptions to HTTP answers. No other module maps errors to statuses.

The statuses are described in docs/contract/rest.md, "Errors".
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    DisallowedHost,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import DataError, InterfaceError, OperationalError, ProgrammingError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from builds.services import health
from mbs import errors
from mbs.states import IllegalTransition

log = logging.getLogger(__name__)


class LengthRequired(errors.MBSError):
    """411: The request does not announce the length of its body."""

    code = "length_required"


class RequestTimeout(errors.MBSError):
    """408: The body of the request does not arrive in time."""

    code = "request_timeout"


class MethodNotAllowed(errors.MBSError):
    """405: The resource does not have this method."""

    code = "method_not_allowed"


STATUSES: Mapping[type[errors.MBSError], int] = {
    errors.InvalidInput: 400,
    errors.NotAuthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    MethodNotAllowed: 405,
    RequestTimeout: 408,
    errors.Conflict: 409,
    IllegalTransition: 409,
    LengthRequired: 411,
    errors.TooLarge: 413,
    errors.Unprocessable: 422,
    errors.TooManyRequests: 429,
    errors.NotSupported: 501,
    errors.Unavailable: 503,
}
#: Status -> its meaning, for the OpenAPI document: the docstring of the first class that has it.
MEANINGS = {status: str(kind.__doc__).partition(": ")[2] for kind, status in [*STATUSES.items()][::-1]}
MEANINGS[500] = "The service failed unexpectedly; the message has the incident number."
#: AUTH_METHOD -> authentication scheme in the header WWW-Authenticate
CHALLENGES = {"oidc": "Bearer", "kerberos": "Negotiate"}
#: SQLite's messages for a missing table or column. PostgreSQL raises ProgrammingError for both.
_MISSING_IN_SCHEMA = re.compile(r"^no such (?:table|column)|has no column named")


def handle(exc: Exception, context: Mapping[str, Any]) -> Response:
    """Return the answer to an exception that a view raised (DRF's setting ``EXCEPTION_HANDLER``)."""
    set_rollback()
    error, status, headers = _translate(exc, context)
    response = Response(body(error or incident(exc), status), status=status, headers=headers)
    response.exception = True
    return response


def body(error: errors.MBSError, status: int) -> dict[str, Any]:
    """Return the JSON object that describes an error."""
    answer: dict[str, Any] = {
        "status": status,
        "error": HTTPStatus(status).phrase,
        "message": error.message,
        "code": error.code,
        "hint": error.hint,
    }
    if error.problems:
        answer["problems"] = [problem.as_dict() for problem in error.problems]
    return answer


def status_of(error: errors.MBSError) -> int:
    """Return the HTTP status that an error is answered with."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def _translate(
    exc: Exception, context: Mapping[str, Any]
) -> tuple[errors.MBSError | None, int, dict[str, str]]:
    """Return the error that is shown to users, its HTTP status, and headers of the answer.

    The error is None for an unexpected exception, whose details users must not see.
    """
    match exc:
        case errors.MBSError():
            status = status_of(exc)
            return exc, status, _headers(exc, status)
        case exceptions.AuthenticationFailed() if isinstance(exc.__cause__, errors.MBSError):
            return _translate(exc.__cause__, context)
        case exceptions.MethodNotAllowed():
            view, request = context["view"], context["request"]
            return method_not_allowed(request.method, request.path, view.allowed_methods), 405, {}
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return _translate(errors.NotAuthenticated(str(exc.detail)), context)
        case exceptions.PermissionDenied() | PermissionDenied():
            return errors.Forbidden(str(exc) or "You may not do this."), 403, {}
        case exceptions.NotFound() | Http404():
            # Views raise mbs.errors.NotFound instead, so this one comes from DRF's versioning.
            return errors.NotFound("There is no such version of the API.", hint="Use 1 or 2."), 404, {}
        case TooManyFieldsSent():
            most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
            return errors.InvalidInput(f"The request has more than {most} parameters or keys."), 400, {}
        case TooManyFilesSent():
            most = settings.DATA_UPLOAD_MAX_NUMBER_FILES
            return errors.InvalidInput(f"The form has more than {most} files."), 400, {}
        case DisallowedHost():
            return (
                errors.InvalidInput(
                    "The header Host names a host that this service does not answer for.",
                    code="unknown_host",
                    hint="Use the service's own address; operators list its names in ALLOWED_HOSTS.",
                ),
                400,
                {},
            )
        case RequestDataTooBig():
            return body_too_large(), 413, {}
        case exceptions.APIException():
            return errors.InvalidInput(str(exc.detail)), exc.status_code, {}
        case MultiPartParserError() | BadRequest() | SuspiciousOperation():
            return errors.InvalidInput(f"The request cannot be read: {exc}"), 400, {}
        case DataError():
            # Input is checked before it reaches the database, so a check is missing.
            log.error("The database refused a value that no check had refused", exc_info=exc)
            return _not_storable(), 400, {}
        case ProgrammingError() | OperationalError() | InterfaceError():
            return _database_error(exc)
    return None, 500, {}


def _database_error(exc: Exception) -> tuple[errors.MBSError | None, int, dict[str, str]]:
    """Return the error of the API for an error of the database; None if it is unexpected.

    The schema lacks migrations, the database is unreachable, or the service has a bug.
    """
    if isinstance(exc, ProgrammingError) or _MISSING_IN_SCHEMA.search(str(exc)):
        older = health.outdated()
        if older:
            log.error("%s %s", older.message, older.hint)
        return older, 503 if older else 500, {}
    log.error("The database is unavailable: %s", exc)
    away = errors.Unavailable(
        "The database is unavailable.", code="database_unavailable", hint="Nothing was recorded: try again."
    )
    return away, 503, {"Retry-After": "10"}


def _not_storable() -> errors.InvalidInput:
    return errors.InvalidInput(
        "The request holds a text that is too long, a number that is too large, or a character that cannot "
        "be stored.",
        code="not_storable",
        hint="Send shorter texts, in UTF-8, without control characters.",
    )


def method_not_allowed(method: str, path: str, allowed: Iterable[str]) -> MethodNotAllowed:
    """Return the error for a method that an address does not have."""
    return MethodNotAllowed(
        f"The method {method[:20]} is not allowed for {path[:200]}.", hint=f"Use {', '.join(allowed)}."
    )


def body_too_large() -> errors.TooLarge:
    """Return the error for a body of more than ``BODY_LIMIT`` bytes."""
    return errors.TooLarge(
        f"The body of the request is larger than {settings.MBS.BODY_LIMIT} bytes.", code="body_too_large"
    )


def _headers(error: errors.MBSError, status: int) -> dict[str, str]:
    if status == 401:
        return _challenge(error)
    return {"Retry-After": str(ceil(error.retry_after))} if isinstance(error, errors.TooManyRequests) else {}


def _challenge(error: errors.MBSError) -> dict[str, str]:
    """Return the header that tells how to log in, or what is wrong with the token (RFC 6750, section 3)."""
    challenge = CHALLENGES[settings.MBS.AUTH_METHOD]
    if challenge == "Bearer" and error.code != errors.NotAuthenticated.code:
        lacking = error.code == "insufficient_scope"
        challenge += f' error="{"insufficient_scope" if lacking else "invalid_token"}"'
    return {"WWW-Authenticate": challenge}


def incident(exc: Exception) -> errors.MBSError:
    """Log an unexpected exception, and return an error that shows only the number to find it by."""
    number = uuid.uuid4().hex[:12]
    log.error("Incident %s: %s", number, type(exc).__name__, exc_info=exc)
    return errors.MBSError(
        f"The service failed unexpectedly. This is incident {number}.",
        hint="Report the incident number to the operators of the service.",
    )
