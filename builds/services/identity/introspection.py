"""Ask the OpenID provider about a token (RFC 7662), and about its user (OpenID Connect Core, 5.3)."""

from __future__ import annotations

from typing import Any

from builds.services.identity.provider import client_secrets, request, unavailable
from mbs.errors import NotAuthenticated


def introspect(token: str) -> dict[str, Any]:
    """What the provider says of an active token: ``username``, ``scope``, ``exp``, ...

    :raises NotAuthenticated: it is not active.
    :raises Unavailable: the provider is away, or does not know this service.
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
        # The provider speaks of our own credentials: the user can do nothing about it.
        raise unavailable(f"{url} refused this service with {status}.")
    if content.get("active") is not True:
        raise NotAuthenticated(
            "The token is not valid, or has expired.", code="token_invalid", hint="Log in again."
        )
    return content


def userinfo(token: str, url: object) -> dict[str, Any]:
    """What the provider says of the user of a token: ``sub``, ``groups``, ...

    :raises NotAuthenticated: the provider does not take the token any more.
    :raises Unavailable: the provider is away.
    """
    status, content = request("GET", url, headers={"Authorization": f"Bearer {token}"})
    if status in (401, 403):
        raise NotAuthenticated("The token is not valid any more.", code="token_invalid", hint="Log in again.")
    if status != 200:
        raise unavailable(f"{url} answered {status}.")
    return content
