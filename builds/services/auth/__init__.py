"""Authenticate requests: verify their credentials, and return an ``Identity``.

``oidc`` accepts tokens of an OpenID provider (``introspection`` asks the provider, ``signed`` verifies
signatures). ``kerberos`` accepts users that a front server has authenticated, with groups from ``ldap``.
``tokens`` are the service's own API tokens. ``builds.api.permissions`` decides what an identity may do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from builds.clients import client_at
from builds.services.auth import tokens
from builds.services.auth.identity import ANONYMOUS, Identity, Scope

__all__ = ["ANONYMOUS", "Identity", "Scope", "identify"]


def identify(environ: Mapping[str, Any], *, fresh: bool = False) -> Identity | None:
    """Return the user of a request; None if it has no credentials.

    Args:
        environ: CGI variables of the request (RFC 3875), such as ``HTTP_AUTHORIZATION`` and ``REMOTE_USER``.
        fresh: Whether to ignore cached results. Needed before something lasting is granted.

    Raises:
        NotAuthenticated: The credentials are wrong, expired or revoked.
        TooManyRequests: Too many credentials from this address were refused.
        Unavailable: The credentials cannot be checked at the moment.
    """
    if settings.MBS.NO_AUTH:
        return Identity(ANONYMOUS, trusted=True)
    method = settings.MBS.AUTH_METHOD
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).strip().partition(" ")
    if scheme.lower() == "bearer":
        token = token.strip()
        if tokens.is_api_token(token):
            return tokens.identify(token)
        if method == "oidc":
            # Imported on use: the libraries of a login method take half as long to import as everything else.
            from builds.services.auth import oidc

            address = client_at(str(environ.get("REMOTE_ADDR") or ""))
            return oidc.identify(token, fresh=fresh, address=address)
    if method == "kerberos":
        from builds.services.auth import kerberos

        return kerberos.identify(environ, fresh=fresh)
    return None
