"""Answers of an OpenID provider that are endless, nested, out of bounds, or name odd users."""

from __future__ import annotations

import secrets
import socket
import string
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from builds.models import SavedSearch
from builds.services.auth import provider
from builds.web.provider_login import MAX_PATH
from mbs.errors import Unavailable
from tests.builds.services.auth.login_steps import answer_of, begin, log_in, name, refused, switched_on
from tests.builds.services.auth.oidc_provider import Issuer
from tests.builds.web.browser import BROWSER
from tests.dripping import dripping

pytestmark = pytest.mark.django_db


@pytest.fixture
def hostile(option: Callable[..., None], issuer: Issuer, tmp_path: Path) -> Issuer:
    return switched_on("opaque", option, issuer, tmp_path)


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/Token", "/TokenInfo", "/UserInfo"])
@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000, b"9" * 3_000_000, b'"\xff"'])
def test_answers_that_are_nested_or_too_large_are_an_outage(
    client: Client, hostile: Issuer, path: str, body: bytes
) -> None:
    hostile.bodies[path] = body
    answer = client.get("/login/provider", headers=BROWSER)
    if answer.status_code == 302:
        answer = client.get(answer_of(answer["Location"]), headers=BROWSER)
    refused(answer, 503, "Logins cannot be checked at the moment.")
    assert name(client) == ""


@pytest.mark.parametrize("part", ["head", "body"])
def test_an_answer_that_comes_one_byte_at_a_time_is_an_outage(
    monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(provider, "TIMEOUT", 1.0)
    with dripping(part) as server:
        with pytest.raises(Unavailable):
            provider.request("GET", f"{server.url}/keys")
        assert not server.patient


def test_a_name_of_the_provider_that_is_not_resolved_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    answered, resolved = threading.Event(), list[bool]()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_: resolved.append(answered.wait(60)))
    monkeypatch.setattr(provider, "TIMEOUT", 0.5)
    try:
        with pytest.raises(Unavailable):
            provider.request("GET", "https://provider.example/keys")
        assert not resolved
    finally:
        answered.set()


@pytest.mark.parametrize("seconds", [10**400, 1e300, -1, 0, "300", True, None, []], ids=str)
def test_wrong_lifetimes_of_tokens_are_ignored(client: Client, hostile: Issuer, seconds: Any) -> None:
    tokens_of = hostile.tokens_of
    hostile.tokens_of = lambda *args: {**tokens_of(*args), "expires_in": seconds}
    assert log_in(client).status_code == 302
    assert name(client) == "ann"


@pytest.mark.parametrize("end", [10**400, 1e400, float("nan")], ids=str)
def test_tokens_that_never_expire_are_valid(client: Client, hostile: Issuer, end: Any) -> None:
    opaque = hostile.opaque

    def endless(*args: Any, **options: Any) -> str:
        token = opaque(*args, **options)
        hostile.tokens[token]["exp"] = end
        return token

    hostile.opaque = endless
    assert log_in(client).status_code == 302
    assert name(client) == "ann"


@pytest.mark.parametrize(
    "user", ["a\0b", "a\nb", "\x1b[31mann", "ann ", " ", "a" * 256, "\u202eann"], ids=ascii
)
def test_users_whose_names_cannot_be_stored_do_not_log_in(client: Client, hostile: Issuer, user: str) -> None:
    hostile.person, hostile.groups[user] = user, ["packager"]
    refused(log_in(client), 403, "a user with a name that this service cannot store")
    client.post("/searches", {"name": "mine", "query": "state=ready"}, headers=BROWSER)
    assert not SavedSearch.objects.exists()


def test_the_longest_name_can_be_stored(client: Client, hostile: Issuer) -> None:
    hostile.person = "é" * 255
    hostile.groups[hostile.person] = ["packager"]
    log_in(client)
    client.post("/searches", {"name": "mine", "query": "state=ready"}, headers=BROWSER)
    assert SavedSearch.objects.get().owner == hostile.person


def test_the_cookie_of_begun_logins_fits_into_browsers(client: Client, hostile: Issuer) -> None:
    for _ in range(5):
        begin(client, "/" + "".join(secrets.choice(string.printable[:94]) for _ in range(MAX_PATH - 1)))
    # RFC 6265, section 6.1: at least 4096 bytes with name, value and attributes.
    assert len(client.cookies["mbs_login"].OutputString()) <= 4096
    hanzi = "".join(chr(0x20000 + secrets.randbelow(40_000)) for _ in range(MAX_PATH - 1))
    assert log_in(client, f"/{hanzi}")["Location"] == "/?mine=1"
