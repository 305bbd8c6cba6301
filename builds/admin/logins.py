"""Count failed logins to the admin, and answer logins after too many of them (django-axes)."""

from __future__ import annotations

from typing import Any

from axes.helpers import get_client_username
from axes.models import AccessLog
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from builds.clients import client_at
from builds.web.errors import failure
from mbs.errors import TooManyRequests

#: Max characters of a name in the table of failed logins; names of accounts have at most 150.
MAX_NAME = 255


def lockout_parameters(request: Any, credentials: dict[str, Any] | None = None) -> list[str | list[str]]:
    """Return the keys by which failed logins are counted: the user and the address, separately.

    If the user has logged in from this address before, only failures of this user at this address count, so
    that others cannot lock the user out by guessing passwords.

    Args:
        request: A request, or a stored attempt.
    """
    if not isinstance(request, HttpRequest):
        return ["username", "ip_address"]
    username = get_client_username(request, credentials)
    if AccessLog.objects.filter(username=username, ip_address=client_address(request)).exists():
        return [["username", "ip_address"]]
    return ["username", "ip_address"]


def client_username(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str | None:
    """Return the name that failed logins are counted for, shortened to the longest one that is stored.

    Args:
        request: The request.
        credentials: The credentials of the login, if it has been tried.
    """
    found = (credentials or request.POST).get("username")
    return None if found is None else str(found).replace("\0", "")[:MAX_NAME]


def client_address(request: HttpRequest) -> str:
    """Return the address of the client, or the first address of its IPv6 network (``builds.clients``)."""
    address = str(request.META.get("REMOTE_ADDR") or "0.0.0.0")  # noqa: S104  (nothing listens on it)
    return client_at(address).partition("/")[0]


def lockout_response(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    """Return the answer to a login after too many failures."""
    error = TooManyRequests(
        "There were too many failed logins.",
        retry_after=settings.MBS.LOGIN_PAUSE,
        code="too_many_logins",
        hint="Wait a few minutes, or ask an operator to run: mbs-manager axes_reset",
    )
    response: Any = failure(error)(request)
    # Django renders the responses of views only, and its middlewares need a rendered one.
    rendered: HttpResponseBase = response.render()
    return rendered
