"""Send the stored token of a server with requests that need it."""

from __future__ import annotations

import time
from collections.abc import Generator

import httpx

from mbs.client import logins, provider
from mbs.client.logins import Login
from mbs.client.rest import Refused

_READING = ("GET", "HEAD")
#: Seconds before its expiry in which a token is renewed.
EARLY = 30.0


class StoredLogin(httpx.Auth):
    """Authenticate requests with the stored login at a server.

    Reads are sent without it first, since most need none: they do not unlock a keyring, and work while the
    provider is unavailable.

    Args:
        url: The server.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request with credentials, and again with new ones if the server refuses them."""
        if request.method in _READING and (yield request).status_code != 401:
            return
        login = self._login()
        if login.expires_at is not None and login.expires_at - EARLY <= time.time():
            login = self._renewed(login)
        request.headers["Authorization"] = f"Bearer {login.token}"
        response = yield request
        if response.status_code == 401 and login.refresh_token:
            request.headers["Authorization"] = f"Bearer {self._renewed(login).token}"
            yield request

    def _login(self) -> Login:
        login = logins.load(self._url)
        if login is None:
            raise Refused(
                401,
                f"The stored token for {self._url} was deleted meanwhile.",
                code="login_ended",
                hint=provider.AGAIN,
            )
        return login

    def _renewed(self, login: Login) -> Login:
        if not login.refresh_token:
            raise Refused(
                401, f"Your token for {self._url} has expired.", code="login_ended", hint=provider.AGAIN
            )
        with logins.lock():
            newer = self._login()
            if newer != login:
                return newer  # another process has renewed it
            renewed = provider.renew(login, self._url)
            logins.save(self._url, renewed)
            return renewed
