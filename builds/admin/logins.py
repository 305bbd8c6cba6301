"""How failed logins to the admin are counted, and what is answered when there were too many (django-axes)."""

from __future__ import annotations

from typing import Any

from axes.helpers import get_client_username
from axes.models import AccessLog
from django.http import HttpRequest, HttpResponseBase

from builds.web.errors import failure
from mbs.errors import TooManyRequests


def counted_by(request: Any, credentials: dict[str, Any] | None = None) -> list[str | list[str]]:
    """What failures are counted by: the user and the address, each by itself.

    From an address from which this user has logged in before, only their own failures from there count: a
    stranger who guesses the passwords of an operator must not keep them out.

    Args:
        request: A request, or a stored attempt.
    """
    if not isinstance(request, HttpRequest):
        return ["username", "ip_address"]
    username = get_client_username(request, credentials)
    if AccessLog.objects.filter(username=username, ip_address=address(request)).exists():
        return [["username", "ip_address"]]
    return ["username", "ip_address"]


def address(request: HttpRequest) -> str:
    """The address of the client."""
    return str(request.META.get("REMOTE_ADDR") or "0.0.0.0")


def locked_out(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    """The answer to a login when there were too many failures."""
    error = TooManyRequests(
        "There were too many failed logins.",
        code="too_many_logins",
        hint="Wait a few minutes; operators with access to the service run: mbs-manager axes_reset",
    )
    response: Any = failure(error)(request)
    # Middlewares of Django look at it, and render answers of views only.
    return response.render()
