"""Who is asking: credentials in, an ``Identity`` or an error out.

``oidc`` believes tokens of an OpenID provider (``introspection`` asks it, ``signed`` verifies by its keys),
``kerberos`` a front server that has authenticated the user, with groups from ``ldap``; ``tokens`` are the
service's own. What an identity may do is not decided here (``builds.api.permissions``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from builds.services.identity import tokens
from builds.services.identity.identity import ANONYMOUS, Identity, Scope

__all__ = ["ANONYMOUS", "Identity", "Scope", "identify"]


def identify(environ: Mapping[str, Any], *, fresh: bool = False) -> Identity | None:
    """The user that a request comes from; None when it carries no credentials.

    :param environ: of the request, as CGI (RFC 3875) names things: ``HTTP_AUTHORIZATION``, ``REMOTE_USER``.
    :param fresh: believe nothing that was learned before: something lasting is to be granted.
    :raises NotAuthenticated: the credentials are wrong, expired or revoked.
    :raises TooManyRequests: too many credentials of this address were refused.
    :raises Unavailable: they cannot be checked now.
    """
    if settings.MBS.NO_AUTH:
        return Identity(ANONYMOUS, trusted=True)
    method = settings.MBS.AUTH_METHOD
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).strip().partition(" ")
    if scheme.lower() == "bearer":
        token = token.strip()
        if tokens.is_ours(token):
            return tokens.identify(token)
        if method == "oidc":
            # What a method of login needs takes half as long to import as all the rest: only its users wait.
            from builds.services.identity import oidc

            return oidc.identify(token, fresh=fresh, address=str(environ.get("REMOTE_ADDR") or ""))
    if method == "kerberos":
        from builds.services.identity import kerberos

        return kerberos.identify(environ, fresh=fresh)
    return None
