"""Logins of people at the OpenID provider: the authorization code flow with PKCE (OpenID Connect Core, 3.1).

The flow ends with an access token, which has to pass the same checks as a token that a client sends to the
API (``oidc``). So groups, scopes and user names have one set of rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
from authlib.common.security import generate_token
from authlib.oauth2 import ClientAuth, OAuth2Client, OAuth2Error
from django.conf import settings

from builds.services.auth import oidc, provider, signed
from builds.services.auth.identity import Identity
from builds.services.auth.lookup_cache import lookup_slot
from builds.services.auth.methods import CALLBACK, login_scopes
from mbs.errors import Forbidden, InvalidInput, MBSError, NotAuthenticated, Unavailable

#: Errors of the provider (RFC 6749, section 4.1.2.1; OpenID Connect Core, section 3.1.2.6).
_ANSWERS: Mapping[str, MBSError] = {
    "access_denied": Forbidden(
        "The login was refused or canceled at the provider.", code="login_refused", hint="Log in again."
    ),
    "server_error": Unavailable(
        "The provider could not log you in.", code="identity_provider_unavailable", hint=provider.HINT
    ),
    "temporarily_unavailable": Unavailable(
        "The provider cannot log you in at the moment.",
        code="identity_provider_unavailable",
        hint=provider.HINT,
    ),
}
#: Max seconds for which a token is valid; larger values are ignored.
MAX_SECONDS = 10 * 365 * 24 * 3600
_CODE = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True)
class Begun:
    """A login that was started in a browser, and which only this browser can finish.

    Attributes:
        state: Identifies the login in the provider's answer.
        nonce: Identifies the login in the ID token.
        verifier: The secret of PKCE (RFC 7636).
        back: Path of the page that asked for the login.
    """

    state: str
    nonce: str
    verifier: str
    back: str


@dataclass(frozen=True)
class Tokens:
    """The tokens of a login.

    Attributes:
        access: The access token.
        refresh: The refresh token; empty if the provider gives none.
        seconds: Seconds for which the access token is valid; None if the provider does not say.
    """

    access: str
    refresh: str = ""
    seconds: float | None = None


def redirect_uri() -> str:
    """Return the address to which the provider sends browsers back; it is registered at the provider."""
    return f"{settings.MBS.BASE_URL}{CALLBACK}"


def begin(back: str) -> tuple[str, Begun]:
    """Start a login.

    Args:
        back: Path of the page to show after the login.

    Returns:
        The provider's address to which the browser is sent, and the login.

    Raises:
        Unavailable: The provider cannot be asked for its addresses.
    """
    begun = Begun(generate_token(32), generate_token(32), generate_token(64), back)
    address = _endpoint("authorization_endpoint")
    url, _ = _client().create_authorization_url(
        address,
        state=begun.state,
        code_verifier=begun.verifier,
        nonce=begun.nonce,
        resource=_resource(),
    )
    return url, begun


def finish(begun: Begun, answer: Mapping[str, str]) -> tuple[Tokens, Identity]:
    """Finish a login with the answer of the provider, which the browser brings.

    Args:
        begun: The login, which was started in the same browser.
        answer: The parameters of the callback address.

    Returns:
        The tokens and the user.

    Raises:
        InvalidInput: The answer does not belong to the login, or is not valid.
        Forbidden: The user or the provider refused the login, or the tokens cannot be used here.
        Unavailable: The provider is unavailable.
    """
    about = _description()
    issuer = answer.get("iss")
    if issuer is None and about["authorization_response_iss_parameter_supported"] is not True:
        issuer = settings.MBS.OIDC_ISSUER
    if issuer != settings.MBS.OIDC_ISSUER:  # RFC 9207: the answer comes from another provider
        raise InvalidInput(
            "The answer does not come from the provider of this service.",
            code="foreign_login",
            hint="Log in again.",
        )
    if "error" in answer:
        raise _refusal(answer["error"])
    if not answer.get("code"):
        raise InvalidInput(
            "The answer of the provider contains no code.", code="foreign_login", hint="Log in again."
        )
    try:
        tokens, content = _request_tokens(
            grant_type="authorization_code", code=answer["code"], code_verifier=begun.verifier
        )
        signed.verify_id_token(
            str(content.get("id_token") or ""),
            client_id=_client_id(),
            nonce=begun.nonce,
            access_token=tokens.access,
        )
    except NotAuthenticated as error:
        raise InvalidInput(error.message, code="foreign_login", hint="Log in again.") from error
    try:
        return tokens, oidc.identify(tokens.access, fresh=True)
    except NotAuthenticated as error:
        raise Forbidden(
            f"The provider logged you in, but this service cannot use its token: {error.message}",
            code="login_unusable",
            hint="Tell the operators of the service; `mbs-manager doctor` checks the configuration.",
        ) from error


def renew(refresh: str) -> Tokens:
    """Return new tokens for a refresh token.

    Raises:
        NotAuthenticated: The provider has ended the login.
        Unavailable: The provider is unavailable.
    """
    tokens, _ = _request_tokens(grant_type="refresh_token", refresh_token=refresh)
    return tokens if tokens.refresh else Tokens(tokens.access, refresh, tokens.seconds)


def logout_url() -> str:
    """Return the provider's address that ends the login there; empty if it has none or is unavailable.

    It contains no ID token, since addresses end up in logs. So the provider asks the user to confirm.
    """
    try:
        address = _description()["end_session_endpoint"]
        if not _is_address(address):
            return ""
        query = {"client_id": _client_id(), "post_logout_redirect_uri": f"{settings.MBS.BASE_URL}/"}
    except Unavailable:
        return ""
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


class _Http:
    """Send the requests of Authlib's client as the other requests to the provider are sent."""

    def post(self, url: str, *, data: dict[str, str], headers: dict[str, str], auth: ClientAuth) -> Any:
        """Return the answer to a form."""
        url, headers, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        with lookup_slot():
            status, content = provider.request("POST", url, content=body, headers=headers)
        return httpx.Response(status, json=content, request=httpx.Request("POST", url))


def _client() -> OAuth2Client:
    secrets = provider.client_secrets()
    secret = str(secrets.get("client_secret") or "")
    # RFC 8414, section 2: the default is client_secret_basic.
    methods = _description()["token_endpoint_auth_methods_supported"] or ["client_secret_basic"]
    basic = "client_secret_basic" in methods or "client_secret_post" not in methods
    return OAuth2Client(
        _Http(),
        client_id=_client_id(),
        client_secret=secret,
        token_endpoint_auth_method=(
            "none" if not secret else "client_secret_basic" if basic else "client_secret_post"
        ),
        scope=" ".join(login_scopes()),
        redirect_uri=redirect_uri(),
        code_challenge_method="S256",
    )


def _request_tokens(**grant: str) -> tuple[Tokens, dict[str, Any]]:
    """Return the tokens that the provider gives for a grant, and its whole answer.

    Raises:
        NotAuthenticated: The code or the refresh token is not valid (any more).
        Unavailable: The provider is unavailable, or refuses this service.
    """
    address, client = _endpoint("token_endpoint"), _client()
    try:
        if token := grant.get("refresh_token"):
            content = dict(client.refresh_token(address, refresh_token=token, resource=_resource()))
        else:
            content = dict(client.fetch_token(address, **grant, resource=_resource()))
    except OAuth2Error as error:
        if error.error == "invalid_grant":
            raise NotAuthenticated(
                "The provider does not accept this login (any more).",
                code="login_ended",
                hint="Log in again.",
            ) from error
        raise provider.unavailable(f"{address} refused this service: {str(error.error)[:100]}.") from error
    except (httpx.HTTPStatusError, ValueError) as error:
        raise provider.unavailable(f"{address}: {error}") from error
    access, refresh, seconds = (content.get(key) for key in ("access_token", "refresh_token", "expires_in"))
    if not isinstance(access, str) or str(content.get("token_type", "bearer")).lower() != "bearer":
        raise provider.unavailable(f"{address} answered without a bearer token.")
    valid = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < MAX_SECONDS
    return Tokens(
        access, refresh if isinstance(refresh, str) else "", float(seconds) if valid and seconds else None
    ), content


def _resource() -> str:
    """Return the resource of tokens (RFC 8707): the URL of this service, if it is their audience."""
    return settings.MBS.BASE_URL if settings.MBS.OIDC_AUDIENCE == settings.MBS.BASE_URL else ""


def _client_id() -> str:
    found = provider.client_secrets().get("client_id")
    if not isinstance(found, str) or not found:
        raise provider.unavailable("OIDC_CLIENT_SECRETS contains no client_id.")
    return found


def _description() -> dict[str, Any]:
    with lookup_slot():
        return signed.description()


def _endpoint(name: str) -> str:
    address = _description()[name]
    if not _is_address(address):
        raise provider.unavailable(f"{settings.MBS.OIDC_ISSUER} has no {name}.")
    return str(address)


def _is_address(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://"))


def _refusal(code: str) -> MBSError:
    """Return the error for a code of the provider. Its description is not shown: anyone can write it."""
    known = _ANSWERS.get(code)
    if known is not None:
        return type(known)(known.message, code=known.code, hint=known.hint)
    name = code if _CODE.fullmatch(code) else "an unknown error"
    return Forbidden(
        f"The provider refused the login: {name}.",
        code="login_refused",
        hint="Tell the operators of the service; `mbs-manager doctor` checks the configuration.",
    )
