"""Users with a token of the OpenID provider."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from builds.services.auth import accounts, introspection, provider, signed
from builds.services.auth.identity import Identity
from builds.services.auth.lookup_cache import cached_lookup
from builds.services.auth.methods import web_login_enabled
from mbs.errors import NotAuthenticated

#: A bearer token (RFC 6750, section 2.1).
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
#: Seconds since 1970 after which no token expires; larger times are ignored.
MAX_TIME = 1e11
#: Max characters of a user name: the length of the columns of owners.
MAX_USERNAME = 255


def identify(token: str, *, fresh: bool = False, address: str = "") -> Identity:
    """Return the user of a token.

    The result is cached until the token expires, but ``IDENTITY_CACHE_TIME`` at most.

    Args:
        token: The token.
        fresh: Whether to ignore the cache, and to ask the provider whether the token was revoked.
        address: Address of the client, or its network (``builds.clients``).

    Raises:
        NotAuthenticated: The token is not valid, has expired, or lacks a scope.
        Unavailable: The token cannot be checked at the moment.
    """
    if not TOKEN.fullmatch(token):
        raise NotAuthenticated(
            "The Authorization header contains no valid bearer token.",
            code="token_invalid",
            hint="Log in again.",
        )
    return cached_lookup("oidc", token, lambda: _verify(token, fresh), fresh=fresh, address=address)


def _verify(token: str, fresh: bool) -> tuple[Identity, float | None]:
    options = settings.MBS
    # Only the provider can verify an opaque token; it is asked if this service has credentials for that.
    if options.OIDC_ISSUER and (signed.is_signed(token) or options.OIDC_CLIENT_SECRETS is None):
        claims, name = signed.verify(token), options.OIDC_USERNAME_CLAIM
        if fresh:
            _ask_provider(token)
    else:
        _require_scope_option()
        claims, name = introspection.introspect(token), "username"
    seconds = _seconds_left(claims)
    _check_scopes(claims)
    username = claims.get(name)
    if not isinstance(username, str) or not username:
        raise NotAuthenticated("The token names no user.", code="token_without_user", hint="Log in again.")
    if len(username) > MAX_USERNAME or not username.isprintable() or username != username.strip():
        raise NotAuthenticated(
            "The token names a user with a name that this service cannot store.",
            code="token_without_user",
            hint=f"User names have at most {MAX_USERNAME} printable characters, without spaces around them.",
        )
    if web_login_enabled() and accounts.exists(username):
        # Builds, API tokens and saved searches belong to names, so two people must not share one.
        raise NotAuthenticated(
            f"The name {username} belongs to an account of this service.",
            code="name_of_account",
            hint="Ask the operators of the service to give that account another name.",
        )
    return Identity(username, _groups(token, claims, username)), seconds


def _ask_provider(token: str) -> None:
    """Ask the provider, if possible, whether a signed token was revoked."""
    if provider.client_secrets().get("token_introspection_uri"):
        introspection.introspect(token)
    elif url := signed.description()["userinfo_endpoint"]:
        introspection.userinfo(token, url)


def _require_scope_option() -> None:
    """Require the option, without which tokens that were issued for other services would be accepted."""
    if not settings.MBS.OIDC_REQUIRED_SCOPE:
        raise provider.unavailable("OIDC_REQUIRED_SCOPE is not set.")


def _seconds_left(claims: Mapping[str, Any]) -> float | None:
    end = claims.get("exp")
    if not isinstance(end, int | float) or isinstance(end, bool) or not end < MAX_TIME:
        return None
    seconds = end - time.time()
    if seconds <= -signed.LEEWAY:
        raise NotAuthenticated("The token has expired.", code="token_expired", hint="Log in again.")
    return seconds


def _check_scopes(claims: Mapping[str, Any]) -> None:
    """Refuse a token that lacks a scope, with 401, because clients log in again only after a 401."""
    scope = claims.get("scope", "")
    present = set(scope.split()) if isinstance(scope, str) else set()
    options = settings.MBS
    wanted = [*options.OIDC_SCOPES, *filter(None, [options.OIDC_REQUIRED_SCOPE])]
    if missing := [each for each in wanted if each not in present]:
        raise NotAuthenticated(
            f"The token lacks the scope {missing[0]}.",
            code="insufficient_scope",
            hint=f"Log in with the scopes {' '.join(wanted)}.",
        )


def _groups(token: str, claims: Mapping[str, Any], username: str) -> frozenset[str]:
    """Return the groups that the token or its provider names; users in ``ALLOWED_USERS`` need none."""
    found = claims.get("groups")
    if found is None:
        url = provider.client_secrets().get("userinfo_uri")
        if not url and settings.MBS.OIDC_ISSUER:
            url = signed.description()["userinfo_endpoint"]
        about = introspection.userinfo(token, url)
        if "sub" in about and about["sub"] != claims.get("sub", about["sub"]):
            raise NotAuthenticated(
                "The provider names another user than the token.", code="token_invalid", hint="Log in again."
            )
        found = about.get("groups")
    if isinstance(found, list):
        return frozenset(group for group in found if isinstance(group, str))
    if username in settings.MBS.ALLOWED_USERS:
        return frozenset()
    raise NotAuthenticated(
        "Neither the token nor its provider names the groups of the user.",
        code="groups_unknown",
        hint="Log in with a scope that includes groups.",
    )
