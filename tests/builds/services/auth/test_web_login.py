"""People log in on the pages at an OpenID provider, which is a real server here."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from joserfc import jwt
from joserfc.jwk import RSAKey

from builds.models import SavedSearch
from builds.services.auth import signed
from mbs.states import BuildState
from tests.builds.services.auth.login_steps import (
    Clock,
    answer_of,
    begin,
    log_in,
    name,
    refused,
    with_parameters,
)
from tests.builds.services.auth.oidc_provider import CLIENT, Issuer
from tests.builds.web.browser import BROWSER, get
from tests.factories import module_build
from tests.processes import free_port

pytestmark = pytest.mark.django_db
BUILD = "/act?action=cancel&build="


def test_the_login_leads_back_to_the_page_and_the_act_pages_work(
    client: Client, login_provider: Issuer
) -> None:
    build = module_build(owner="ann", state=BuildState.BUILD)
    asked = client.get(f"{BUILD}{build.pk}", headers=BROWSER)["Location"]
    page = get(client, asked)
    assert "Log in at 127.0.0.1" in page.text
    link = next(each for each in page.all("a", "href") if "/login/provider" in each)
    answer = client.get(answer_of(client.get(link, headers=BROWSER)["Location"]), headers=BROWSER)
    assert answer["Location"] == f"{BUILD}{build.pk}"
    assert "In the name of ann" in get(client, answer["Location"]).text
    client.post("/act", {"action": "cancel", "build": build.pk}, headers=BROWSER)
    build.refresh_from_db()
    assert build.state_reason == "Canceled by ann."


def test_the_request_has_state_nonce_and_pkce_and_no_secret(client: Client, login_provider: Issuer) -> None:
    address = begin(client)
    query = {key: values[0] for key, values in parse_qs(urlsplit(address).query).items()}
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == "http://testserver/login/callback"
    assert query["scope"].split() == ["openid", "https://id.fedoraproject.org/scope/groups", "mbs/submit"]
    assert min(len(query[key]) for key in ("state", "nonce", "code_challenge")) >= 32
    assert CLIENT["client_secret"] not in address
    assert begin(client) != address


def test_the_cookie_of_a_begun_login_is_for_the_login_only(client: Client, login_provider: Issuer) -> None:
    begin(client)
    cookie = client.cookies["mbs_login"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/login")
    assert not Session.objects.exists()
    client.get(answer_of(begin(client)), headers=BROWSER)
    assert client.cookies["sessionid"]["httponly"]


def test_groups_and_permissions_are_those_of_the_api(client: Client, login_provider: Issuer) -> None:
    login_provider.person, login_provider.groups["bob"] = "bob", ["gardeners"]
    build = module_build(owner="bob", state=BuildState.BUILD)
    log_in(client)
    refused(client.get("/submit", headers=BROWSER), 403, "none of the groups packager")
    answer = client.post("/act", {"action": "cancel", "build": build.pk}, headers=BROWSER)
    refused(answer, 403, "none of the groups packager")


def test_a_user_of_the_provider_does_not_get_the_name_of_an_account(
    client: Client, login_provider: Issuer
) -> None:
    User.objects.create_superuser("root", password="correct horse")
    SavedSearch.objects.create(owner="root", name="secret", query="state=failed")
    login_provider.person, login_provider.groups["root"] = "root", ["packager"]
    refused(log_in(client), 403, "The name root belongs to an account of this service.")
    assert name(client) == ""
    assert client.get("/admin/", headers=BROWSER).status_code == 302
    token = login_provider.opaque("root") if login_provider.opaque_logins else login_provider.signed("root")
    answer = client.get("/module-build-service/2/tokens/", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "name_of_account")


def test_a_login_ends_when_an_account_gets_the_name(
    client: Client, login_provider: Issuer, clock: Clock
) -> None:
    log_in(client)
    User.objects.create_superuser("ann", password="correct horse")
    clock.forward(901)
    assert name(client) == ""


def test_another_browser_cannot_finish_a_login(client: Client, login_provider: Issuer) -> None:
    """Somebody sends a link that would log this browser in with an account of theirs."""
    theirs = answer_of(begin(Client()))
    refused(client.get(theirs, headers=BROWSER), 400, "This browser has not started this login")
    begin(client)
    refused(client.get(theirs, headers=BROWSER), 400, "This browser has not started this login")
    assert name(client) == ""
    assert not login_provider.asked["/Token"]


@pytest.mark.parametrize("state", [None, "", "x", "ä" * 3000])
def test_a_wrong_state_is_refused(client: Client, login_provider: Issuer, state: str | None) -> None:
    path = with_parameters(answer_of(begin(client)), state=state)
    refused(client.get(path, headers=BROWSER), 400, "This browser has not started this login")
    assert not login_provider.asked["/Token"]


def test_a_login_takes_too_long(client: Client, login_provider: Issuer, clock: Clock) -> None:
    path = answer_of(begin(client))
    clock.forward(901)
    refused(client.get(path, headers=BROWSER), 400, "This browser has not started this login")


@pytest.mark.parametrize("cookie", ["", "x", "a:b:c", "W10:1:x", "ä"])
def test_a_forged_cookie_is_none(client: Client, login_provider: Issuer, cookie: str) -> None:
    path = answer_of(begin(client))
    client.cookies["mbs_login"] = cookie
    refused(client.get(path, headers=BROWSER), 400, "This browser has not started this login")


def test_a_code_is_used_once(client: Client, login_provider: Issuer) -> None:
    path = answer_of(begin(client))
    cookie = client.cookies["mbs_login"].value
    assert client.get(path, headers=BROWSER).status_code == 302
    again = Client()
    refused(again.get(path, headers=BROWSER), 400, "This browser has not started this login")
    again.cookies["mbs_login"] = cookie
    page = refused(again.get(path, headers=BROWSER), 400, "does not accept this login")
    assert "Log in again." in page.text
    assert name(again) == ""


@pytest.mark.parametrize("code", [None, "", "guess", "x" * 60_000])
def test_a_wrong_code_is_refused(client: Client, login_provider: Issuer, code: str | None) -> None:
    path = with_parameters(answer_of(begin(client)), code=code)
    answer = client.get(path, headers=BROWSER)
    assert answer.status_code == 400
    assert name(client) == ""


def test_several_windows_log_in(client: Client, login_provider: Issuer) -> None:
    first, second = answer_of(begin(client, "/queue")), answer_of(begin(client, "/submit"))
    assert client.get(first, headers=BROWSER)["Location"] == "/queue"
    assert client.get(second, headers=BROWSER)["Location"] == "/submit"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another login"},
        {"nonce": None},
        {"iss": "https://elsewhere.example.com"},
        {"iss": None},
        {"aud": "another-client"},
        {"aud": ["another", "third"], "azp": CLIENT["client_id"]},
        {"aud": [CLIENT["client_id"], "another"]},
        {"azp": "another-client"},
        {"exp": 1000},
        {"exp": None},
        {"sub": None},
        {"iat": 4102444800},
        {"at_hash": "bm90IHRoaXMgdG9rZW4"},
    ],
    ids=str,
)
def test_an_id_token_must_belong_to_this_login(
    client: Client, signing: Issuer, claims: dict[str, Any]
) -> None:
    signing.id_claims = claims
    refused(log_in(client), 400, "The token")
    assert name(client) == ""


def _unsigned(token: str, issuer: Issuer) -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


def _of_a_stranger(token: str, issuer: Issuer) -> str:
    stranger = RSAKey.generate_key(2048, {"kid": "one"})
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, stranger)


@pytest.mark.parametrize("forge", [_unsigned, _of_a_stranger, lambda *_: "", lambda *_: None, lambda *_: 7])
def test_a_forged_id_token_is_refused(client: Client, signing: Issuer, forge: Callable[..., Any]) -> None:
    tokens_of = signing.tokens_of

    def forged(user: str, begun: dict[str, str]) -> dict[str, Any]:
        answer = tokens_of(user, begun)
        return {**answer, "id_token": forge(answer["id_token"], signing)}

    signing.tokens_of = forged
    refused(log_in(client), 400, "The token is not valid for this service.")
    assert name(client) == ""


def test_a_token_of_another_audience_does_not_log_in(client: Client, signing: Issuer) -> None:
    make = signing.signed
    signing.signed = lambda user, **claims: make(user, aud="other", **claims)
    refused(log_in(client), 403, "this service cannot use its token")
    assert name(client) == ""


def test_the_answer_of_another_issuer_is_refused(client: Client, signing: Issuer) -> None:
    path = with_parameters(answer_of(begin(client)), iss="https://elsewhere.example.com")
    refused(client.get(path, headers=BROWSER), 400, "does not come from the provider of this service")
    assert not signing.asked["/Token"]


def test_an_issuer_that_names_itself_in_answers_must_do_so(client: Client, signing: Issuer) -> None:
    signing.described = {"authorization_response_iss_parameter_supported": True}
    path = answer_of(begin(client))
    refused(client.get(path, headers=BROWSER), 400, "does not come from the provider of this service")
    path = with_parameters(answer_of(begin(client)), iss=signing.url)
    assert client.get(path, headers=BROWSER).status_code == 302


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "evil.example",
        "",
        f"/{'x' * 5000}",
        "/\r\nSet-Cookie: a=b",
    ],
)
def test_a_login_leads_to_own_pages_only(client: Client, signing: Issuer, back: str) -> None:
    assert log_in(client, back)["Location"] == "/?mine=1"
    assert client.get("/login", {"next": back}, headers=BROWSER)["Location"] == "/?mine=1"


def test_a_refused_login_can_be_started_again(client: Client, login_provider: Issuer) -> None:
    login_provider.person = ""
    page = refused(log_in(client, "/queue"), 403, "The login was refused or canceled at the provider.")
    assert "/login/provider?next=%2Fqueue" in page.all("a", "href")


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        ("server_error", 503, "could not log you in"),
        ("temporarily_unavailable", 503, "cannot log you in at the moment"),
        ("invalid_scope", 403, "The provider refused the login: invalid_scope."),
        ("<b>call 555</b>", 403, "The provider refused the login: an unknown error."),
    ],
)
def test_errors_of_the_provider_are_pages(
    client: Client, signing: Issuer, error: str, status: int, text: str
) -> None:
    path = answer_of(begin(client))
    path = with_parameters(path, code=None, error=error, error_description="<b>call 555</b>")
    page = refused(client.get(path, headers=BROWSER), status, text)
    assert "555" not in page.html


@pytest.mark.parametrize("status", [500, 302, 429])
def test_a_provider_in_trouble_is_a_page(client: Client, login_provider: Issuer, status: int) -> None:
    login_provider.status = status
    answer = client.get("/login/provider", headers=BROWSER)
    refused(answer, 503, "Logins cannot be checked at the moment.")
    login_provider.status = 200
    path = answer_of(begin(client))
    login_provider.status = status
    refused(client.get(path, headers=BROWSER), 503, "Logins cannot be checked at the moment.")
    assert name(client) == ""


def test_a_provider_that_is_away_is_a_page(
    client: Client, signing: Issuer, option: Callable[..., None]
) -> None:
    option(OIDC_ISSUER=f"http://127.0.0.1:{free_port()}")
    refused(client.get("/login/provider", headers=BROWSER), 503, "Logins cannot be checked at the moment.")


@pytest.mark.parametrize(
    ("described", "path"),
    [
        ({"authorization_endpoint": None}, ""),
        ({"authorization_endpoint": "javascript:alert(1)"}, ""),
        ({"token_endpoint": 7}, ""),
    ],
)
def test_a_provider_without_the_flow_is_a_page(
    client: Client, signing: Issuer, described: dict[str, Any], path: str
) -> None:
    signing.described = described
    answer = client.get("/login/provider", headers=BROWSER)
    if answer.status_code == 302:
        answer = client.get(answer_of(answer["Location"]), headers=BROWSER)
    refused(answer, 503, "Logins cannot be checked at the moment.")


def test_wrong_credentials_of_the_service_are_the_operators_business(
    client: Client, signing: Issuer, tmp_path: Path
) -> None:
    path = answer_of(begin(client))
    (tmp_path / "client_secrets.json").write_text(json.dumps({"web": {**CLIENT, "client_secret": "old"}}))
    refused(client.get(path, headers=BROWSER), 503, "Logins cannot be checked at the moment.")


def test_logs_contain_no_secret(
    client: Client, login_provider: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    path = answer_of(begin(client))
    caplog.set_level(logging.DEBUG, "builds")
    caplog.set_level(logging.DEBUG)
    code = parse_qs(urlsplit(path).query)["code"][0]
    client.get(path, headers=BROWSER)
    secrets = [code, CLIENT["client_secret"], *login_provider.tokens, *login_provider.refresh_tokens]
    texts = [record.getMessage() for record in caplog.records]
    assert any("/login/callback" in text for text in texts)
    assert not [secret for secret in secrets if any(secret in text for text in texts)]


def test_answers_of_the_login_are_not_stored(client: Client, signing: Issuer) -> None:
    for answer in (client.get("/login/provider", headers=BROWSER), log_in(client)):
        assert "no-store" in answer["Cache-Control"]
        assert answer["Referrer-Policy"] == "no-referrer"


def test_the_description_is_asked_for_once(client: Client, signing: Issuer) -> None:
    for _ in range(3):
        log_in(client)
    assert signing.asked["/.well-known/openid-configuration"] == 1
    assert signed.KEYS_LIFETIME >= 600
    assert django_settings.SESSION_ENGINE.endswith("db")


def test_tokens_of_logins_are_bound_to_the_service_where_the_provider_can(
    client: Client, login_provider: Issuer, option: Callable[..., None]
) -> None:
    assert "resource" not in parse_qs(urlsplit(begin(client)).query)
    login_provider.opaque_logins, login_provider.indicators = False, True
    option(OIDC_AUDIENCE=django_settings.MBS.BASE_URL)
    assert parse_qs(urlsplit(begin(client)).query)["resource"] == [django_settings.MBS.BASE_URL]
    log_in(client)
    assert name(client) == "ann"
