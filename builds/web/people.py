"""Determine the user of a page: from a session, the front server, or the credentials of the request."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.middleware import get_user
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest

from builds.services.auth import Identity, accounts, identify


def account(request: HttpRequest) -> AbstractBaseUser | None:
    """Return the logged-in account; a request without a usable session reads nothing from the database."""
    session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    if not (session.isascii() and session.isalnum()):
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
    return accounts.identity(user) if user else identify(request.META)


def shown(request: HttpRequest) -> str:
    """Return the name of the logged-in account for the header of a page; empty if there is none."""
    user = account(request)
    return user.get_username() if user else ""
