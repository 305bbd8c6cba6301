"""Determine the user of a page: from a session, the front server, or the credentials of the request."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.middleware import get_user
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_cache_control

from builds.services.auth import Identity, accounts, identify
from builds.services.auth.methods import web_login_enabled
from mbs.errors import MBSError

_SHOWN = "_mbs_shown_name"


def account(request: HttpRequest) -> AbstractBaseUser | None:
    """Return the logged-in account; a request without a usable session reads nothing from the database."""
    if _session(request) is None:
        return None
    # In requests of the API, request.user is what DRF found, which ignores sessions.
    user = get_user(request)
    return user if user.is_authenticated and user.is_active else None


def person(request: HttpRequest) -> Identity | None:
    """Return the user for the permissions of the API; None if the request has no credentials.

    Raises:
        MBSError: The credentials of the request are wrong, or cannot be checked now.
    """
    user = account(request)
    if user:
        return accounts.identity(user)
    session = _session(request)
    if session is not None and web_login_enabled():
        from builds.services.auth import login_sessions  # only where there are such logins

        if found := login_sessions.identity(session):
            return found
    return identify(request.META)


def shown(request: HttpRequest) -> str:
    """Return the name of the logged-in user for the header of a page; empty if there is none."""
    django_request = getattr(request, "_request", request)  # pages of the API have a request of DRF
    name: str | None = getattr(django_request, _SHOWN, None)
    if name is None:
        name = _name(request)
        setattr(django_request, _SHOWN, name)
    return name


def forget(request: HttpRequest) -> None:
    """Read the user of a request again, after a login or a logout."""
    if hasattr(request, _SHOWN):
        delattr(request, _SHOWN)


def _name(request: HttpRequest) -> str:
    user = account(request)
    if user:
        return user.get_username()
    session = _session(request)
    if session is None or not web_login_enabled():
        return ""
    from builds.services.auth import login_sessions

    try:
        return login_sessions.username(session)
    except MBSError:
        return ""


def _session(request: HttpRequest) -> SessionBase | None:
    """Return the session, if the request has the cookie of one."""
    cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    # The answers to requests that an outer middleware refuses have no session.
    return getattr(request, "session", None) if cookie.isascii() and cookie.isalnum() else None


class PrivacyMiddleware:
    """Mark answers that show the name of a user as private, so that no shared cache stores them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle a request."""
        response = self.get_response(request)
        if getattr(request, _SHOWN, ""):
            patch_cache_control(response, private=True)
        return response
