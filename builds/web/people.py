"""Who looks at a page: a user with a session, or one whom the front server or the request names."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.middleware import get_user
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest

from builds.services.identity import Identity, accounts, identify


def account(request: HttpRequest) -> AbstractBaseUser | None:
    """Return the account that is logged in; a request without a usable session reads nothing."""
    session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    if not (session.isascii() and session.isalnum()):
        return None
    # In requests of the API, request.user is what DRF found, which ignores sessions.
    user = get_user(request)
    return user if user.is_authenticated and user.is_active else None


def person(request: HttpRequest) -> Identity | None:
    """Return who is asking, as the permissions of the API know them; None: nobody is logged in.

    Raises:
        MBSError: Credentials of the request are wrong, or cannot be checked now.
    """
    user = account(request)
    return accounts.identity(user) if user else identify(request.META)


def shown(request: HttpRequest) -> str:
    """Return the name of the account that is logged in, for the head of a page; empty without one."""
    user = account(request)
    return user.get_username() if user else ""
