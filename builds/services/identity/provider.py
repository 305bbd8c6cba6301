"""The OpenID provider: its addresses, and how it is asked.

The file ``OIDC_CLIENT_SECRETS`` has the form that the reference service reads: an object with one value,
``{client_id, client_secret, token_introspection_uri, userinfo_uri}``.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
from django.conf import settings

from mbs.errors import Unavailable

log = logging.getLogger(__name__)

#: seconds that the provider has for an answer
TIMEOUT = 10.0
HINT = "Try again in a while; tell the operators of the service if it stays so."


def unavailable(reason: str) -> Unavailable:
    """The error that a login cannot be checked, through no fault of the user's.

    :param reason: for the operators: it is logged, not told.
    """
    log.error("Logins cannot be checked: %s", reason)
    return Unavailable(
        "Logins cannot be checked at the moment.", code="identity_provider_unavailable", hint=HINT
    )


def client_secrets() -> dict[str, Any]:
    """Who this service is to the provider, and the provider's addresses; empty without the file.

    :raises Unavailable: the file cannot be read.
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
        raise unavailable(f"{path} is not an object of one object.")
    return values[0]


def request(method: str, url: object, **options: Any) -> tuple[int, dict[str, Any]]:
    """Status and JSON object of an answer; ``{}`` when a refusal (4xx) carries none.

    :param url: of the configuration or of the provider's own description.
    :param options: for ``httpx.request``.
    :raises Unavailable: the provider is away, or does not answer as one.
    """
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise unavailable(f"{url!r} is no address of an OpenID provider.")
    try:
        answer = httpx.request(method, url, timeout=TIMEOUT, **options)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unavailable(f"{url}: {type(error).__name__}: {error}") from error
    try:
        content = answer.json()
    except ValueError:
        content = None
    refused = 400 <= answer.status_code < 500
    if not (refused or (answer.status_code == 200 and isinstance(content, dict))):
        raise unavailable(f"{url} answered {answer.status_code}.")
    return answer.status_code, content if isinstance(content, dict) else {}
