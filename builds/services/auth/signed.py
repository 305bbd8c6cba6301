"""Verify signed tokens (RFC 9068, RFC 7519) with the keys that their issuer publishes.

The issuer describes itself under ``/.well-known/openid-configuration`` (OpenID Connect Discovery 1.0).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from authlib.oidc.core import CodeIDToken
from django.conf import settings
from django.core.cache import cache
from joserfc import errors, jwt
from joserfc.jwk import KeySet

from builds.services.auth.provider import request, unavailable
from mbs.errors import NotAuthenticated

log = logging.getLogger(__name__)

#: Asymmetric algorithms only. With HS256 the published key would be the secret.
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
#: The parts of the issuer's description that are used (OpenID Connect Discovery 1.0, section 3; RFC 8628,
#: section 4; RFC 9207, section 3; OpenID Connect RP-Initiated Logout 1.0, section 2.1).
DESCRIBED = (
    "authorization_endpoint",
    "authorization_response_iss_parameter_supported",
    "code_challenge_methods_supported",
    "device_authorization_endpoint",
    "end_session_endpoint",
    "scopes_supported",
    "token_endpoint",
    "token_endpoint_auth_methods_supported",
    "userinfo_endpoint",
)
#: Seconds for which the issuer's description and keys are cached.
KEYS_LIFETIME = 3600
#: Seconds between two requests for new keys, which are made when a token has an unknown key.
KEYS_PAUSE = 60
#: Seconds by which clocks may differ.
LEEWAY = 30


def is_signed(token: str) -> bool:
    """Return whether a token has the form of a signed one; only the provider can verify other tokens."""
    return token.count(".") == 2


def verify(token: str) -> dict[str, Any]:
    """Return the claims of a signed token, after checking its signature, times, issuer and audience.

    Raises:
        NotAuthenticated: The token is not valid.
        Unavailable: The issuer's keys cannot be fetched.
    """
    with _refusals():
        claims = _decode(token).claims
        rules = jwt.JWTClaimsRegistry(leeway=LEEWAY, **_rules(settings.MBS.OIDC_AUDIENCE))
        rules.validate(claims)
    return claims


def verify_id_token(token: str, *, client_id: str, nonce: str, access_token: str) -> dict[str, Any]:
    """Return the claims of an ID token (OpenID Connect Core, section 3.1.3.7).

    Args:
        token: The ID token.
        client_id: The client that it must be issued for.
        nonce: The value that the login was started with.
        access_token: The access token that it must belong to, if it names one.

    Raises:
        NotAuthenticated: The token is not valid, or belongs to another login.
        Unavailable: The issuer's keys cannot be fetched.
    """
    with _refusals():
        decoded = _decode(token)
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            _rules(client_id),
            {"nonce": nonce, "client_id": client_id, "access_token": access_token},
        )
        claims.validate(leeway=LEEWAY)
    return dict(claims)


def _rules(audience: str) -> dict[str, Any]:
    return {
        "iss": {"essential": True, "value": str(settings.MBS.OIDC_ISSUER)},
        "aud": {"essential": True, "value": audience},
        "exp": {"essential": True},
    }


@contextmanager
def _refusals() -> Iterator[None]:
    """Translate the errors of tokens that are not valid."""
    try:
        yield
    except errors.ExpiredTokenError as error:
        raise NotAuthenticated(
            "The token has expired.", code="token_expired", hint="Log in again."
        ) from error
    except (errors.JoseError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise NotAuthenticated(
            "The token is not valid for this service.", code="token_invalid", hint="Log in again."
        ) from error


def description() -> dict[str, Any]:
    """Return the issuer's description of itself, with its keys under ``keys``.

    Raises:
        Unavailable: The issuer is unavailable.
    """
    key = f"oidc-issuer:{settings.MBS.OIDC_ISSUER}"
    found: dict[str, Any] | None = cache.get(key)
    if found is None:
        found = _fetch(str(settings.MBS.OIDC_ISSUER))
        cache.set(key, found, KEYS_LIFETIME)
    return found


def _fetch(issuer: str) -> dict[str, Any]:
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    status, about = request("GET", url)
    if status != 200 or about.get("issuer") != issuer:
        raise unavailable(f"{url} does not describe the issuer {issuer}.")
    status, published = request("GET", about.get("jwks_uri"))
    if status != 200 or not isinstance(published.get("keys"), list):
        raise unavailable(f"{about.get('jwks_uri')} answered {status}, without keys.")
    keys = [key for key in published["keys"] if isinstance(key, dict) and key.get("use", "sig") == "sig"]
    return {**{name: about.get(name) for name in DESCRIBED}, "keys": keys}


def _decode(token: str) -> jwt.Token:
    try:
        return jwt.decode(token, _keys(), algorithms=ALGORITHMS)
    except errors.InvalidKeyIdError:
        issuer = settings.MBS.OIDC_ISSUER
        if not cache.add(f"oidc-keys-asked:{issuer}", True, KEYS_PAUSE):
            raise
        cache.delete(f"oidc-issuer:{issuer}")
        return jwt.decode(token, _keys(), algorithms=ALGORITHMS)


def _keys() -> KeySet:
    """Return the keys of the issuer that can be read; the others are ignored (RFC 7517, section 5)."""
    keys = []
    for data in description()["keys"]:
        try:
            keys += KeySet.import_key_set({"keys": [data]}).keys
        except Exception as error:  # noqa: BLE001  (joserfc raises KeyError for an unknown curve, and others)
            log.debug("A key of %s cannot be read: %r", settings.MBS.OIDC_ISSUER, error)
    if not keys:
        raise unavailable(f"{settings.MBS.OIDC_ISSUER} publishes no key that can be read.")
    return KeySet(keys)
