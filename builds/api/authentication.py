"""Authenticate API requests for DRF, by the credentials that ``builds.services.auth`` checks."""

from __future__ import annotations

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from builds.services.auth import Identity, identify
from mbs.errors import MBSError

#: Methods that change nothing. They need no login, except in views whose ``private`` is true.
SAFE = ("GET", "HEAD", "OPTIONS")


_BEARER = {"type": "http", "scheme": "bearer"}


def security_schemes() -> dict[str, dict[str, str]]:
    """Return the ways to log in for the OpenAPI document: an API token, and the one in ``AUTH_METHOD``."""
    token = {"token": {**_BEARER, "description": "An API token"}}
    if settings.MBS.AUTH_METHOD == "kerberos":
        return token | {"kerberos": {"type": "http", "scheme": "negotiate"}}
    return token | {"oidc": {**_BEARER, "description": "A token of the OpenID provider"}}


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
