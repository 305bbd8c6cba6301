"""The ways to log in that the configuration offers, beside credentials in requests."""

from __future__ import annotations

from typing import TypedDict
from urllib.parse import urlsplit

from django.conf import settings

#: Path of the address to which the provider sends browsers back, below ``BASE_URL``.
CALLBACK = "/login/callback"


class DeviceLogin(TypedDict):
    """The values with which a command line gets tokens by the OAuth device flow (RFC 8628)."""

    issuer: str
    client_id: str
    scopes: list[str]


def web_login_enabled() -> bool:
    """Return whether users of the pages log in at the OpenID provider."""
    return bool(settings.MBS.OIDC_WEB_LOGIN and _uses_provider())


def device_login() -> DeviceLogin | None:
    """Return how ``mbs login`` gets tokens from the OpenID provider; None if it cannot."""
    options = settings.MBS
    if not (options.OIDC_DEVICE_CLIENT and _uses_provider()):
        return None
    return {
        "issuer": str(options.OIDC_ISSUER),
        "client_id": options.OIDC_DEVICE_CLIENT,
        "scopes": login_scopes(),
    }


def provider_name() -> str:
    """Return the host of the OpenID provider, for texts."""
    return urlsplit(str(settings.MBS.OIDC_ISSUER)).hostname or ""


def login_scopes() -> list[str]:
    """Return the scopes for which a login asks: those that tokens need."""
    options = settings.MBS
    return list(dict.fromkeys(["openid", *options.OIDC_SCOPES, *filter(None, [options.OIDC_REQUIRED_SCOPE])]))


def _uses_provider() -> bool:
    options = settings.MBS
    return options.AUTH_METHOD == "oidc" and not options.NO_AUTH
