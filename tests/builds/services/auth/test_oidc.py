"""Users with a token of an OpenID provider, which is a real server."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from builds.models import ModuleBuild
from mbs.states import BuildState
from tests.builds.rest import ROOT
from tests.builds.services.auth.caller import Caller
from tests.builds.services.auth.conftest import build_of_ann
from tests.builds.services.auth.oidc_provider import SCOPES, Issuer
from tests.processes import free_port


@pytest.fixture(params=["asking", "verifying"])
def provider(request: pytest.FixtureRequest) -> Issuer:
    """Both ways to know a token."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def token_of(provider: Issuer, request: pytest.FixtureRequest) -> Callable[..., str]:
    """A token of the kind that the service is configured for."""
    return provider.signed if "verifying" in request.node.name else provider.opaque


def refused(response: Any, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code), response.content
    assert ("WWW-Authenticate" in response) == (status == 401)


def test_the_owner_of_a_token_is_known(
    caller: Caller, build: ModuleBuild, provider: Issuer, token_of: Callable[..., str]
) -> None:
    answer = caller.cancel(build, token_of())
    assert answer.status_code == 200, answer.content
    assert answer.json()["state_reason"] == "Canceled by ann."


def test_the_provider_is_asked_once_about_a_token(
    caller: Caller, build: ModuleBuild, provider: Issuer, token_of: Callable[..., str]
) -> None:
    token = token_of()
    caller.cancel(build, token)
    asked = sum(provider.asked.values())
    provider.status = 500
    for _ in range(3):
        assert caller.cancel(build_of_ann(), token).status_code == 200
    assert sum(provider.asked.values()) == asked


def test_others_may_not_change_the_build(
    caller: Caller, build: ModuleBuild, provider: Issuer, token_of: Callable[..., str]
) -> None:
    provider.groups["bob"] = ["packager"]
    refused(caller.cancel(build, token_of("bob")), 403, "not_owner")
    build.refresh_from_db()
    assert build.state == BuildState.BUILD


def test_an_admin_may(
    caller: Caller,
    build: ModuleBuild,
    provider: Issuer,
    token_of: Callable[..., str],
    option: Callable[..., None],
) -> None:
    option(ADMIN_GROUPS=frozenset({"sysadmin"}))
    provider.groups["root"] = ["sysadmin"]
    assert caller.cancel(build, token_of("root")).json()["state_reason"] == "Canceled by root."


def test_users_need_an_allowed_group_or_permission_by_name(
    caller: Caller,
    build: ModuleBuild,
    provider: Issuer,
    token_of: Callable[..., str],
    option: Callable[..., None],
) -> None:
    provider.groups["ann"] = ["gardeners"]
    refused(caller.cancel(build, token_of()), 403, "not_in_group")
    option(ALLOWED_USERS=frozenset({"ann"}))
    assert caller.cancel(build, token_of()).status_code == 200


def test_a_token_without_our_scope_is_none(
    caller: Caller, build: ModuleBuild, asking: Issuer, option: Callable[..., None]
) -> None:
    response = caller.cancel(build, asking.opaque(scopes=SCOPES[:2]))
    refused(response, 401, "insufficient_scope")
    assert response["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
    option(OIDC_REQUIRED_SCOPE="")
    refused(caller.cancel(build, asking.opaque()), 503, "identity_provider_unavailable")


def test_requests_without_credentials_have_no_user(
    caller: Caller, build: ModuleBuild, provider: Issuer
) -> None:
    response = caller.cancel(build)
    refused(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Bearer"
    refused(caller.cancel(build, HTTP_AUTHORIZATION="Basic YW5uOmFubg=="), 401, "not_authenticated")
    refused(caller.cancel(build, REMOTE_USER="ann@EXAMPLE.COM"), 401, "not_authenticated")
    refused(caller.cancel(build, HTTP_REMOTE_USER="ann@EXAMPLE.COM"), 401, "not_authenticated")


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "ä", "x y", "a" * 5000, "..", "e30.e30.", "\x7f"])
def test_nonsense_is_no_token(caller: Caller, build: ModuleBuild, provider: Issuer, token: str) -> None:
    refused(caller.cancel(build, token), 401, "token_invalid")


@pytest.mark.parametrize("status", [500, 302, 429, 401, 404])
def test_a_provider_in_trouble_is_not_the_users_fault(
    caller: Caller, build: ModuleBuild, provider: Issuer, token_of: Callable[..., str], status: int
) -> None:
    token = token_of()
    provider.status = status
    refused(caller.cancel(build, token), 503, "identity_provider_unavailable")
    provider.status = 200
    assert caller.cancel(build, token).status_code == 200


def test_a_provider_that_is_away_is_not_the_users_fault(
    caller: Caller, build: ModuleBuild, verifying: Issuer, option: Callable[..., None]
) -> None:
    token = verifying.signed()
    option(OIDC_ISSUER=f"http://127.0.0.1:{free_port()}")
    refused(caller.cancel(build, token), 503, "identity_provider_unavailable")


def test_reads_need_no_login_and_ignore_tokens(caller: Caller, build: ModuleBuild, provider: Issuer) -> None:
    provider.status = 500
    for accept in ("application/json", "text/html"):
        path = f"{ROOT}module-builds/{build.pk}"
        response = caller.client.get(path, HTTP_AUTHORIZATION="Bearer old", HTTP_ACCEPT=accept)
        assert response.status_code == 200
    assert not provider.asked


def test_a_browser_gets_its_refusal_as_a_page(caller: Caller, build: ModuleBuild, provider: Issuer) -> None:
    response = caller.cancel(build, "nonsense", HTTP_ACCEPT="text/html")
    assert response.status_code == 401
    assert response["Content-Type"].startswith("text/html")


def test_an_expired_token_is_401(caller: Caller, build: ModuleBuild, asking: Issuer) -> None:
    """rpkg renews its token on 401 only."""
    response = caller.cancel(build, asking.opaque(seconds=-1))
    refused(response, 401, "token_invalid")
    assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_an_answer_is_not_believed_longer_than_the_token_holds(
    caller: Caller, build: ModuleBuild, asking: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = asking.opaque(seconds=30)
    assert caller.cancel(build, token).status_code == 200
    asking.tokens[token]["active"] = False
    over = time.time() + 31
    monkeypatch.setattr(time, "time", lambda: over)
    refused(caller.cancel(build, token), 401, "token_invalid")


def test_the_user_that_userinfo_names_must_be_the_same(
    caller: Caller, build: ModuleBuild, asking: Issuer
) -> None:
    token = asking.opaque()
    asking.tokens[token] |= {"sub": "bob"}
    asking.answer = _mixing(asking)
    refused(caller.cancel(build, token), 401, "token_invalid")


def _mixing(issuer: Issuer) -> Callable[..., Any]:
    """An issuer whose userinfo speaks of another user than its introspection."""
    answer = issuer.answer

    def mixed(path: str, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        status, content = answer(path, form, authorization)
        return status, {**content, "sub": "ann"} if path == "/UserInfo" else content

    return mixed


def test_a_new_key_of_the_issuer_is_fetched(caller: Caller, build: ModuleBuild, verifying: Issuer) -> None:
    assert caller.cancel(build, verifying.signed()).status_code == 200
    verifying.new_key("two")
    assert caller.cancel(build_of_ann(), verifying.signed()).status_code == 200
    assert verifying.asked["/keys"] == 2


@pytest.mark.parametrize(
    "foreign",
    [
        {"kty": "EC", "crv": "BP-256", "x": "AA", "y": "AA", "kid": "brainpool"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "post-quantum"},
        {"kty": "RSA", "n": "!", "e": "AQAB", "kid": "broken"},
        {"kid": "nothing"},
    ],
    ids=lambda key: key["kid"],
)
def test_keys_that_cannot_be_read_are_ignored(
    caller: Caller, build: ModuleBuild, verifying: Issuer, foreign: dict[str, str]
) -> None:
    known = [key.as_dict(private=False) for key in verifying.keys]
    verifying.bodies["/keys"] = json.dumps({"keys": [foreign, *known]}).encode()
    assert caller.cancel(build, verifying.signed()).status_code == 200


def test_an_issuer_without_readable_keys_is_in_trouble(
    caller: Caller, build: ModuleBuild, verifying: Issuer
) -> None:
    unknown = {"kty": "EC", "crv": "BP-256", "x": "AA", "y": "AA", "kid": "one"}
    verifying.bodies["/keys"] = json.dumps({"keys": [unknown]}).encode()
    refused(caller.cancel(build, verifying.signed()), 503, "identity_provider_unavailable")


def test_unknown_keys_do_not_make_the_service_ask_again_and_again(
    caller: Caller, build: ModuleBuild, verifying: Issuer
) -> None:
    stranger = RSAKey.generate_key(2048, {"kid": "stranger"})
    for number in range(5):
        token = verifying.signed(key=stranger, iat=number)
        refused(caller.cancel(build, token), 401, "token_invalid")
    assert verifying.asked["/keys"] == 2


def test_the_groups_of_a_token_without_them_come_from_userinfo(
    caller: Caller, build: ModuleBuild, verifying: Issuer
) -> None:
    token = verifying.signed(groups=None)
    verifying.tokens[token] = {"sub": "id-of-ann", "username": "ann"}
    assert caller.cancel(build, token).status_code == 200
    assert verifying.asked["/UserInfo"] == 1


def test_an_expired_signed_token_is_refused_as_expired(
    caller: Caller, build: ModuleBuild, verifying: Issuer
) -> None:
    refused(caller.cancel(build, verifying.signed(exp=int(time.time()) - 60)), 401, "token_expired")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example.com"},
        {"iss": None},
        {"aud": "another-service"},
        {"aud": ["another", "third"]},
        {"aud": None},
        {"exp": None},
        {"exp": "never"},
        {"exp": 1e400},
        {"nbf": 4102444800},
        {"iat": 4102444800},
    ],
    ids=str,
)
def test_a_signed_token_must_be_meant_for_us_now(
    caller: Caller, build: ModuleBuild, verifying: Issuer, claims: dict[str, Any]
) -> None:
    refused(caller.cancel(build, verifying.signed(**claims)), 401, "token_invalid")


@pytest.mark.parametrize("user", [None, "", 7, ["ann"]])
def test_a_signed_token_must_name_a_user(
    caller: Caller, build: ModuleBuild, verifying: Issuer, user: Any
) -> None:
    token = verifying.signed(preferred_username=user, username="ann")
    refused(caller.cancel(build, token), 401, "token_without_user")


def test_a_token_may_be_meant_for_several(caller: Caller, build: ModuleBuild, verifying: Issuer) -> None:
    assert caller.cancel(build, verifying.signed(aud=["other", "mbs"])).status_code == 200


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_forged_signatures_are_none(caller: Caller, build: ModuleBuild, verifying: Issuer) -> None:
    token = verifying.signed()
    header, claims, signature = token.split(".")
    public = verifying.keys[0].as_pem(private=False)
    mine = RSAKey.generate_key(2048, {"kid": "one"})
    content = json.loads(base64.urlsafe_b64decode(claims + "=="))
    symmetric = f"{encoded({'alg': 'HS256', 'kid': 'one'})}.{claims}"
    digest = hmac.digest(public, symmetric.encode(), "sha256")
    with_public_key = f"{symmetric}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    with_own_key = verifying.signed(key=mine, header={"jwk": mine.as_dict(private=False)})
    other = encoded({**content, "preferred_username": "bob"})
    for forged in (
        f"{encoded({'alg': 'none'})}.{claims}.",
        f"{header}.{claims}.",
        f"{header}.{other}.{signature}",
        with_public_key,
        verifying.signed(key=mine),
        with_own_key,
    ):
        refused(caller.cancel(build, forged), 401, "token_invalid")


def test_the_secrets_of_the_service_that_do_not_fit_are_the_operators_business(
    caller: Caller, build: ModuleBuild, asking: Issuer, option: Callable[..., None], tmp_path: Any
) -> None:
    broken = tmp_path / "broken.json"
    for text in ("", "[]", "{}", '{"web": 1}', '{"web": {"client_id": "x"}}'):
        broken.write_text(text)
        option(OIDC_CLIENT_SECRETS=broken)
        refused(caller.cancel(build, asking.opaque()), 503, "identity_provider_unavailable")
