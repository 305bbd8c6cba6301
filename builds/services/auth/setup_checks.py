"""Check the configuration of logins at the OpenID provider for ``mbs-manager doctor``."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from builds.services.auth.methods import device_login, login_scopes, web_login_enabled
from mbs.errors import MBSError, Problem

_CODE = "login_configuration"


def examine() -> Iterator[Problem]:
    """Yield problems of the web login and of ``mbs login``; none if both are switched off."""
    on_pages, on_devices = web_login_enabled(), device_login() is not None
    if not (on_pages or on_devices):
        return
    from builds.services.auth import signed  # only where there are such logins

    issuer = str(settings.MBS.OIDC_ISSUER)
    try:
        about = signed.description()
    except MBSError:
        yield Problem(
            _CODE,
            f"{issuer} has no description at /.well-known/openid-configuration.",
            hint="Check OIDC_ISSUER, letter by letter, and whether this machine can reach it. The log has "
            "the reason.",
        )
        return
    yield from _provider(about, issuer, on_pages, on_devices)
    if on_pages:
        yield from _client()
        yield from _own_address()


def _provider(about: dict[str, Any], issuer: str, on_pages: bool, on_devices: bool) -> Iterator[Problem]:
    needed = {"token_endpoint"}
    needed |= {"authorization_endpoint"} if on_pages else set()
    needed |= {"device_authorization_endpoint"} if on_devices else set()
    for name in sorted(needed):
        address = about.get(name)
        if not isinstance(address, str) or not address.startswith(("https://", "http://")):
            option = "OIDC_DEVICE_CLIENT" if name.startswith("device") else "OIDC_WEB_LOGIN"
            hint = f"Enable it at the provider, or remove {option}."
            yield Problem(_CODE, f"{issuer} has no {name}.", hint=hint)
        elif not _is_safe(address):
            hint = "Use https at the provider: passwords and tokens pass this address."
            yield Problem(_CODE, f"The {name} {address} is not encrypted.", hint=hint)
    methods = about.get("code_challenge_methods_supported")
    if on_pages and isinstance(methods, list) and "S256" not in methods:
        hint = "Enable it, or remove OIDC_WEB_LOGIN."
        yield Problem(_CODE, f"{issuer} does not support PKCE with S256.", hint=hint)
    known = about.get("scopes_supported")
    missing = [scope for scope in login_scopes() if isinstance(known, list) and scope not in known]
    if missing:
        hint = "Create them at the provider, or change OIDC_SCOPES and OIDC_REQUIRED_SCOPE."
        yield Problem(_CODE, f"{issuer} does not list the scopes {', '.join(missing)}.", hint=hint)


def _client() -> Iterator[Problem]:
    from builds.services.auth import provider

    try:
        secrets = provider.client_secrets()
    except MBSError:
        hint = "It is a JSON file (docs/logins.md). The log has the reason."
        yield Problem(
            _CODE, f"OIDC_CLIENT_SECRETS ({settings.MBS.OIDC_CLIENT_SECRETS}) is unusable.", hint=hint
        )
        return
    if not secrets.get("client_id"):
        hint = "Add the id and the secret of the client that is registered at the provider."
        yield Problem(_CODE, "OIDC_CLIENT_SECRETS contains no client_id.", hint=hint)


def _own_address() -> Iterator[Problem]:
    if not _is_safe(settings.MBS.BASE_URL):
        hint = "Serve the pages by https, and set BASE_URL to the https address."
        yield Problem(_CODE, "People log in on pages that are not encrypted.", hint=hint)


def _is_safe(url: str) -> bool:
    """Return whether what is sent to an address is encrypted, or stays on this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parts.scheme == "https" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
