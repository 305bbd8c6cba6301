"""Authenticate API requests for DRF, by the credentials that ``builds.services.auth`` checks."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from builds.services.auth import Identity, identify
from mbs.errors import MBSError

#: Methods that change nothing. They need no login, except in views whose ``private`` is true.
SAFE = ("GET", "HEAD", "OPTIONS")


class CredentialAuthentication(BaseAuthentication):
    """Authenticate requests that change something, and all requests to views marked ``private``.

    Other reads are anonymous: their credentials are not even checked.
    """

    def authenticate(self, request: Request) -> tuple[Identity, None] | None:
        """Return the identity that the credentials of a request prove, or None for an anonymous request.

        Raises:
            AuthenticationFailed: The credentials are not valid.
        """
        view = request.parser_context.get("view")
        if request.method in SAFE and not getattr(view, "private", False):
            return None
        try:
            identity = identify(request.META, fresh=request.method in getattr(view, "granting", ()))
        except MBSError as error:
            # For other classes of errors, DRF would authenticate again while it renders the error page.
            raise AuthenticationFailed(error.message) from error
        return (identity, None) if identity else None
