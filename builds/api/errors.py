"""Errors as answers: the only place that knows which error has which HTTP status.

Source of the statuses: docs/contract/rest.md, "Errors".
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import (
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
    """The length of a body is not announced (411): it could not be refused unread."""

    code = "length_required"


class MethodNotAllowed(errors.MBSError):
    """The resource has no such method (405)."""

    code = "method_not_allowed"


STATUSES: Mapping[type[errors.MBSError], int] = {
    errors.InvalidInput: 400,
    errors.NotAuthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    MethodNotAllowed: 405,
    errors.Conflict: 409,
    IllegalTransition: 409,
    LengthRequired: 411,
    errors.TooLarge: 413,
    errors.Unprocessable: 422,
    errors.TooManyRequests: 429,
    errors.NotSupported: 501,
    errors.Unavailable: 503,
}
#: how a client is to prove who it is, by the setting AUTH_METHOD
CHALLENGES = {"oidc": "Bearer", "kerberos": "Negotiate"}
#: SQLite's words for a table or column that it lacks; PostgreSQL's error is of a class of its own
_NO_SUCH_THING = re.compile(r"^no such (?:table|column)|has no column named")


def handle(exc: Exception, context: Mapping[str, Any]) -> Response:
    """Turn whatever a view raised into an answer; the setting ``EXCEPTION_HANDLER`` names this function."""
    set_rollback()
    error, status, headers = _known(exc, context)
    response = Response(body(error or incident(exc), status), status=status, headers=headers)
    response.exception = True
    return response


def body(error: errors.MBSError, status: int) -> dict[str, Any]:
    """The JSON object that describes an error."""
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


def _known(exc: Exception, context: Mapping[str, Any]) -> tuple[errors.MBSError | None, int, dict[str, str]]:
    """The error as users see it (or None for one that they must not see), its status, and headers."""
    match exc:
        case errors.MBSError():
            status = next((STATUSES[cls] for cls in type(exc).__mro__ if cls in STATUSES), 500)
            return exc, status, _headers(exc, status)
        case exceptions.AuthenticationFailed() if isinstance(exc.__cause__, errors.MBSError):
            return _known(exc.__cause__, context)
        case exceptions.MethodNotAllowed():
            view, request = context["view"], context["request"]
            return method_not_allowed(request.method, request.path, view.allowed_methods), 405, {}
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return _known(errors.NotAuthenticated(str(exc.detail)), context)
        case exceptions.PermissionDenied() | PermissionDenied():
            return errors.Forbidden(str(exc) or "You may not do this."), 403, {}
        case exceptions.NotFound() | Http404():
            # Views raise the service's own error: this is the version in the address.
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
        case MultiPartParserError() | SuspiciousOperation():
            return errors.InvalidInput(f"The request cannot be read: {exc}"), 400, {}
        case DataError():
            # Every entrance checks its texts and numbers; this one was overlooked.
            log.error("A value that the database refuses was not checked", exc_info=exc)
            return _not_storable(), 400, {}
        case ProgrammingError() | OperationalError() | InterfaceError():
            return _of_database(exc)
    return None, 500, {}


def _of_database(exc: Exception) -> tuple[errors.MBSError | None, int, dict[str, str]]:
    """As ``_known``, of a fault of the database: it is older than the service, or away, or we erred."""
    if isinstance(exc, ProgrammingError) or _NO_SUCH_THING.search(str(exc)):
        older = health.outdated()
        if older:
            log.error("%s %s", older.message, older.hint)
        return older, 503 if older else 500, {}
    log.error("The database is away: %s", exc)
    away = errors.Unavailable(
        "The database is away.", code="database_unavailable", hint="Nothing was recorded: try again."
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
    """The error of a method that an address does not have."""
    return MethodNotAllowed(
        f"The method {method[:20]} is not allowed for {path[:200]}.", hint=f"Use {', '.join(allowed)}."
    )


def body_too_large() -> errors.TooLarge:
    """The error of a body over ``BODY_LIMIT``."""
    return errors.TooLarge(
        f"The body of the request is larger than {settings.MBS.BODY_LIMIT} bytes.", code="body_too_large"
    )


def _headers(error: errors.MBSError, status: int) -> dict[str, str]:
    if status == 401:
        return _challenge(error)
    return {"Retry-After": str(int(settings.MBS.LOGIN_PAUSE))} if status == 429 else {}


def _challenge(error: errors.MBSError) -> dict[str, str]:
    """How to log in, and what is wrong with a token that was sent (RFC 6750, 3)."""
    challenge = CHALLENGES[settings.MBS.AUTH_METHOD]
    if challenge == "Bearer" and error.code != errors.NotAuthenticated.code:
        lacking = error.code == "insufficient_scope"
        challenge += f' error="{"insufficient_scope" if lacking else "invalid_token"}"'
    return {"WWW-Authenticate": challenge}


def incident(exc: Exception) -> errors.MBSError:
    """What a user learns of a fault of ours: a number under which the log has the rest."""
    number = uuid.uuid4().hex[:12]
    log.error("Incident %s: %s", number, type(exc).__name__, exc_info=exc)
    return errors.MBSError(
        f"The service failed; this is incident {number}.",
        hint="Tell the operators of the service the number of the incident.",
    )
