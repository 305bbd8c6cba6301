"""The steps of a login on the pages, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.test import Client

from tests.builds.services.auth.oidc_provider import AUDIENCE, Issuer
from tests.builds.web.browser import BROWSER, Page, get


def switched_on(kind: str, option: Callable[..., None], issuer: Issuer, tmp_path: Path) -> Issuer:
    """Let users of the pages log in at a provider, and return it."""
    issuer.opaque_logins = kind == "opaque"
    option(
        NO_AUTH=False,
        AUTH_METHOD="oidc",
        OIDC_REQUIRED_SCOPE="mbs/submit",
        OIDC_ISSUER=issuer.url,
        OIDC_AUDIENCE=AUDIENCE,
        OIDC_CLIENT_SECRETS=issuer.secrets_file(tmp_path),
        OIDC_WEB_LOGIN=True,
        BASE_URL="http://testserver",
    )
    return issuer


def begin(client: Client, back: str = "/") -> Any:
    """Start a login, and return the address of the provider to which the browser is sent."""
    answer = client.get("/login/provider", {"next": back}, headers=BROWSER)
    assert answer.status_code == 302, answer.content
    return answer["Location"]


def answer_of(address: str) -> str:
    """Log in at the provider, and return the path to which it sends the browser back."""
    answer = httpx.get(address, follow_redirects=False)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"].removeprefix("http://testserver")


def log_in(client: Client, back: str = "/") -> Any:
    """Log in with a browser, and return the last answer."""
    return client.get(answer_of(begin(client, back)), headers=BROWSER)


def name(client: Client) -> str:
    """Return the name in the header of a page."""
    text = get(client, "/queue").text
    return text.partition("Log out ")[2].split()[0] if "Log out" in text else ""


def with_parameters(path: str, **changes: str | None) -> str:
    """Return a path with changed parameters, without those that are None."""
    given = {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}
    given = {key: value for key, value in {**given, **changes}.items() if value is not None}
    return str(httpx.URL(urlsplit(path).path, params=given))


def refused(answer: Any, status: int, text: str) -> Page:
    """Check that an answer is an error page with this status and text, and return it."""
    page = Page(answer.content.decode())
    assert answer.status_code == status, page.text
    assert text in page.text
    assert "Traceback" not in page.text
    return page


class Clock:
    """The clock of the service."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._seconds, real = 0.0, time.time
        monkeypatch.setattr(time, "time", lambda: real() + self._seconds)

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self._seconds += seconds
