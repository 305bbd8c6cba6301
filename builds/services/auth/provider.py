"""Requests to the OpenID provider, and its addresses.

The file ``OIDC_CLIENT_SECRETS`` has the format of MBS 3.9.2: an object with one value,
``{client_id, client_secret, token_introspection_uri, userinfo_uri}``.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
from django.conf import settings

from mbs.errors import Unavailable
from mbs.time_limit import run_within

log = logging.getLogger(__name__)

#: Seconds that the provider has for its whole response, and max bytes of it.
TIMEOUT, MAX_RESPONSE = 10.0, 2_000_000
HINT = "Try again later. If the error persists, tell the operators of the service."


def unavailable(reason: str) -> Unavailable:
    """Log why logins cannot be checked, and return the error for the user.

    Args:
        reason: Reason for operators, which the user does not see.
    """
    log.error("Logins cannot be checked: %s", reason)
    return Unavailable(
        "Logins cannot be checked at the moment.", code="identity_provider_unavailable", hint=HINT
    )


def client_secrets() -> dict[str, Any]:
    """Return the credentials of this service, and the provider's addresses; empty without the file.

    Raises:
        Unavailable: The file cannot be read.
    """
    path = settings.MBS.OIDC_CLIENT_SECRETS
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unavailable(f"{path}: {error}") from error
    values = list(content.values()) if isinstance(content, dict) else []
    if len(values) != 1 or not isinstance(values[0], dict):
        raise unavailable(f"{path} is not a JSON object with one object in it.")
    return values[0]


def request(method: str, url: object, **options: Any) -> tuple[int, dict[str, Any]]:
    """Send a request, and return the status and the JSON object of the response.

    The object is empty if a refusal (4xx) contains none.

    Args:
        method: HTTP method.
        url: Address, from the configuration or from the provider's description of itself.
        options: Options of ``httpx.AsyncClient.request``.

    Raises:
        Unavailable: The provider is unavailable, or its response is not valid.
    """
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise unavailable(f"{url!r} is not an address of an OpenID provider.")
    try:
        status, text = run_within(TIMEOUT, _response(method, url, options))
    except TimeoutError as error:
        raise unavailable(f"{url} took longer than {TIMEOUT:g} seconds.") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unavailable(f"{url}: {type(error).__name__}: {error}") from error
    try:
        content = json.loads(text)
    except (RecursionError, ValueError):
        content = None
    if not (400 <= status < 500 or (status == 200 and isinstance(content, dict))):
        raise unavailable(f"{url} answered {status}.")
    return status, content if isinstance(content, dict) else {}


async def _response(method: str, url: str, options: dict[str, Any]) -> tuple[int, bytes]:
    """Return the status and the body of a response of bounded size."""
    async with (
        httpx.AsyncClient(timeout=TIMEOUT) as client,
        client.stream(method, url, **options) as answer,
    ):
        content = b""
        async for part in answer.aiter_bytes():
            content += part
            if len(content) > MAX_RESPONSE:
                raise unavailable(f"{url} sent more than {MAX_RESPONSE} bytes.")
        return answer.status_code, content
