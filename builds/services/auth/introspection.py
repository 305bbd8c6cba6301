"""Ask the OpenID provider about a token (RFC 7662) and its user (OpenID Connect Core, section 5.3)."""

from __future__ import annotations

from typing import Any

from builds.services.auth.provider import client_secrets, request, unavailable
from mbs.errors import NotAuthenticated


def introspect(token: str) -> dict[str, Any]:
    """Return the provider's claims about an active token: ``username``, ``scope``, ``exp`` and others.

    Raises:
        NotAuthenticated: The token is not active.
        Unavailable: The provider is unavailable, or refuses this service.
    """
    secrets = client_secrets()
    form = {
        "token": token,
        "token_type_hint": "Bearer",
        "client_id": secrets.get("client_id", ""),
        "client_secret": secrets.get("client_secret", ""),
    }
    url = secrets.get("token_introspection_uri")
    status, content = request("POST", url, data=form)
    if status != 200:
        # The provider refuses the credentials of this service, not those of the user.
        raise unavailable(f"{url} refused this service with {status}.")
    if content.get("active") is not True:
        raise NotAuthenticated(
            "The token is not valid, or has expired.", code="token_invalid", hint="Log in again."
        )
    return content


def userinfo(token: str, url: object) -> dict[str, Any]:
    """Return the provider's claims about the user of a token: ``sub``, ``groups`` and others.

    Raises:
        NotAuthenticated: The provider does not accept the token any more.
        Unavailable: The provider is unavailable.
    """
    status, content = request("GET", url, headers={"Authorization": f"Bearer {token}"})
    if status in (401, 403):
        raise NotAuthenticated("The token is not valid any more.", code="token_invalid", hint="Log in again.")
    if status != 200:
        raise unavailable(f"{url} answered {status}.")
    return content
