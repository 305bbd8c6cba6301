"""Get tokens from the OpenID provider of a server: the OAuth device flow (RFC 8628), and new tokens.

Each request names the server that gets the token as its resource (RFC 8707), so a provider that supports
this issues tokens that no other service accepts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from mbs.client import answers
from mbs.client.logins import Login, Provider
from mbs.client.rest import Refused, UnexpectedAnswer, Unreachable, is_loopback
from mbs.errors import InvalidInput

TIMEOUT = 15.0
MAX_ANSWER = 1_000_000
#: Max length of texts that the provider wants to be shown.
MAX_TEXT = 2000
#: RFC 8628, section 3.2: seconds between two requests if the provider does not say.
INTERVAL = 5.0
#: RFC 8628, section 3.5: seconds that ``slow_down`` adds.
SLOWER = 5.0
MAX_INTERVAL, MAX_TIME = 60.0, 3600.0
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
AGAIN = "Log in again: mbs login."

sleep = time.sleep


@dataclass(frozen=True)
class Device:
    """A login that the user has to confirm with a browser.

    Attributes:
        address: The page to open.
        code: The code to enter there.
        whole_address: The page that needs no code; empty if there is none.
        provider: Host of the provider.
        secret: Identifies the login in requests to the provider.
        token_endpoint: Where the token is.
        client_id: The client of the login.
        resource: The server that gets the token.
        interval: Seconds between two requests.
        seconds: Seconds for which the login can be confirmed.
    """

    address: str
    code: str
    whole_address: str
    provider: str
    secret: str
    token_endpoint: str
    client_id: str
    resource: str
    interval: float
    seconds: float


def begin(at: Provider, resource: str) -> Device:
    """Start a login.

    Args:
        at: The provider, with the client and the scopes that the server has named.
        resource: URL of the server that gets the token.

    Raises:
        InvalidInput: The provider does not use https.
        Refused: The provider refuses the login.
        Unreachable: The provider does not answer.
        UnexpectedAnswer: The provider does not support the flow.
    """
    issuer = at.issuer
    require_encryption(issuer, "provider")
    form = {"client_id": at.client_id, "scope": " ".join(at.scopes), "resource": resource}
    with _http(issuer) as http:
        status, about = _request(http, "GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if status != 200 or about.get("issuer") != issuer:
            raise UnexpectedAnswer(f"{issuer} does not describe itself as an OpenID provider.")
        endpoint, tokens = (
            _address(about.get(name), issuer, name)
            for name in ("device_authorization_endpoint", "token_endpoint")
        )
        status, answer = _request(http, "POST", endpoint, form)
    if status != 200:
        raise _refusal(answer, status, issuer)
    texts = [answer.get(name) for name in ("verification_uri", "user_code", "device_code")]
    if not all(isinstance(text, str) and 0 < len(text) <= MAX_TEXT for text in texts):
        raise UnexpectedAnswer(f"{issuer} sent no code for this login.")
    whole = answer.get("verification_uri_complete")
    whole = whole if isinstance(whole, str) and len(whole) <= MAX_TEXT else ""
    for address in filter(None, (str(texts[0]), whole)):
        require_encryption(address, "page")
        if urlsplit(address).hostname != at.host:
            # A hostile provider may pass on a code of another provider, whose login it then gets.
            raise UnexpectedAnswer(
                f"{at.host} wants to confirm the login at another host: {address}.",
                hint="Do not enter a code there. Create an API token, and store it with `mbs login --token`.",
            )
    return Device(
        address=str(texts[0]),
        code=str(texts[1]),
        whole_address=whole,
        provider=at.host,
        secret=str(texts[2]),
        token_endpoint=tokens,
        client_id=at.client_id,
        resource=resource,
        interval=min(_number(answer.get("interval"), INTERVAL), MAX_INTERVAL),
        seconds=min(_number(answer.get("expires_in"), MAX_TIME), MAX_TIME),
    )


def wait(device: Device) -> Login:
    """Wait until the user has confirmed a login.

    Raises:
        Refused: The user has refused the login, or has not confirmed it in time.
    """
    interval, waited = max(device.interval, 1.0), 0.0
    form = {
        "grant_type": DEVICE_GRANT,
        "device_code": device.secret,
        "client_id": device.client_id,
        "resource": device.resource,
    }
    with _http(device.token_endpoint) as http:
        while waited < device.seconds:
            sleep(interval)
            waited += interval
            try:
                status, answer = _request(http, "POST", device.token_endpoint, form)
            except Unreachable:
                # RFC 8628, section 3.5: after a timeout, ask less often.
                interval = min(2 * interval, MAX_INTERVAL)
                continue
            if status == 200:
                return _login(answer, device.token_endpoint, device.client_id)
            match answer.get("error"):
                case "authorization_pending":
                    pass
                case "slow_down":
                    interval = min(interval + SLOWER, MAX_INTERVAL)
                case "expired_token":
                    break
                case _:
                    raise _refusal(answer, status, device.provider)
    raise Refused(401, "The login was not confirmed in time.", code="login_expired", hint=AGAIN)


def renew(login: Login, resource: str) -> Login:
    """Return a login with a new token.

    Args:
        login: The login.
        resource: URL of the server that gets the token.

    Raises:
        Refused: The provider has ended the login.
        Unreachable: The provider does not answer.
    """
    form = {
        "grant_type": "refresh_token",
        "refresh_token": login.refresh_token,
        "client_id": login.client_id,
        "resource": resource,
    }
    with _http(login.token_endpoint) as http:
        status, answer = _request(http, "POST", login.token_endpoint, form)
    if status != 200 or "error" in answer:
        host = urlsplit(login.token_endpoint).hostname
        raise Refused(401, f"Your login at {host} has ended.", code="login_ended", hint=AGAIN)
    new = _login(answer, login.token_endpoint, login.client_id)
    return Login(
        new.token,
        login.username,
        new.refresh_token or login.refresh_token,
        new.expires_at,
        login.token_endpoint,
        login.client_id,
    )


def require_encryption(url: str, of: str) -> None:
    """Check that what is sent to an address is encrypted, or stays on this machine.

    Raises:
        InvalidInput: It is neither https nor on this machine.
    """
    if not url.startswith("https://") and not (url.startswith("http://") and is_loopback(url)):
        raise InvalidInput(
            f"The {of} {url[:MAX_TEXT]} is not encrypted: others could read your token.",
            code="not_encrypted",
            hint="Use its https address.",
        )


def _login(answer: Mapping[str, Any], token_endpoint: str, client_id: str) -> Login:
    token, refresh = answer.get("access_token"), answer.get("refresh_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise UnexpectedAnswer(f"{token_endpoint} sent no token.")
    seconds = _number(answer.get("expires_in"), 0)
    return Login(
        token,
        refresh_token=refresh if isinstance(refresh, str) else "",
        expires_at=time.time() + seconds if seconds else None,
        token_endpoint=token_endpoint,
        client_id=client_id,
    )


@contextmanager
def _http(url: str) -> Iterator[httpx.Client]:
    headers = {"Accept": "application/json"}
    with httpx.Client(timeout=TIMEOUT, headers=headers, trust_env=not is_loopback(url)) as http:
        yield http


def _request(
    http: httpx.Client, method: str, url: str, form: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object of an answer."""
    host = urlsplit(url).hostname
    try:
        request = http.build_request(method, url, data=form)
        response = answers.fetch(http, request, TIMEOUT, limit=MAX_ANSWER)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise Unreachable(
            f"The provider {host} cannot be reached: {error}.", hint="Try again later."
        ) from error
    if response.status_code >= 500 or response.status_code == 429:
        raise Unreachable(f"The provider {host} answered {response.status_code}.", hint="Try again later.")
    try:
        answer = json.loads(response.content)
    except (RecursionError, ValueError):
        answer = None
    if not isinstance(answer, dict):
        raise UnexpectedAnswer(f"{host} answered {response.status_code} without JSON.")
    return response.status_code, answer


def _refusal(answer: Mapping[str, Any], status: int, provider: str) -> Refused:
    if answer.get("error") == "access_denied":
        return Refused(403, "You have refused the login.", code="login_refused", hint=AGAIN)
    reason = str(answer.get("error_description") or answer.get("error") or status)[:MAX_TEXT]
    return Refused(
        403,
        f"{provider} refused the login: {reason}.",
        code="login_refused",
        hint="Tell the operators of the server.",
    )


def _address(value: object, issuer: str, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise UnexpectedAnswer(
            f"{issuer} has no {name}.", hint="Create an API token, and store it with `mbs login --token`."
        )
    require_encryption(value, name)
    return value


def _number(value: object, default: float) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9
    return float(value) if usable and isinstance(value, int | float) else default
