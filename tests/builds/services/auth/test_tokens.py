"""API tokens: created by users who are logged in, used by programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from builds.models import ApiToken, ModuleBuild
from builds.services.auth import tokens
from mbs.states import BuildState
from tests.builds.rest import ROOT
from tests.builds.services.auth.caller import Caller
from tests.builds.services.auth.oidc_provider import Issuer
from tests.factories import module_build

pytestmark = pytest.mark.django_db


@pytest.fixture
def login(asking: Issuer) -> str:
    """An OpenID token of Ann's."""
    return asking.opaque()


@pytest.fixture
def make(caller: Caller, login: str) -> Callable[..., dict[str, Any]]:
    """Make an API token over REST."""

    def made(**body: Any) -> dict[str, Any]:
        response = caller.tokens("POST", login, body=json.dumps({"name": "ci", **body}).encode())
        assert response.status_code == 201, response.content
        return response.json()

    return made


def test_a_token_is_shown_once_and_acts_for_its_owner(
    caller: Caller, build: ModuleBuild, make: Callable[..., dict[str, Any]], login: str, asking: Issuer
) -> None:
    made = make()
    assert made["token"].startswith("mbs_")
    assert (made["owner"], made["scopes"], made["time_last_used"]) == ("ann", ["cancel", "submit"], None)
    asking.status = 500  # nobody has to be asked about it
    answer = caller.cancel(build, made["token"])
    assert answer.json()["state_reason"] == "Canceled by ann."
    listed = caller.tokens("GET", login).json()
    assert listed["meta"]["total"] == 1
    assert "token" not in listed["items"][0]
    assert listed["items"][0]["time_last_used"]


def test_only_a_digest_of_a_token_is_stored(make: Callable[..., dict[str, Any]]) -> None:
    token = make()["token"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM builds_apitoken")
        stored = repr(cursor.fetchall())
    assert token[12:] not in stored
    assert token[:8] in stored


def test_a_revoked_token_counts_no_more(
    caller: Caller, build: ModuleBuild, make: Callable[..., dict[str, Any]], login: str
) -> None:
    made = make()
    for _ in range(2):
        response = caller.tokens("DELETE", login, f"tokens/{made['id']}")
        assert response.status_code == 200
        assert response.json()["time_revoked"]
    response = caller.cancel(build, made["token"])
    assert (response.status_code, response.json()["code"]) == (401, "token_invalid")


def test_an_expired_token_is_401(
    caller: Caller, build: ModuleBuild, make: Callable[..., dict[str, Any]]
) -> None:
    made = make(days=1)
    row = ApiToken.objects.get()
    assert timedelta(hours=23) < row.expires_at - timezone.now() <= timedelta(days=1)
    ApiToken.objects.update(expires_at=timezone.now())
    response = caller.cancel(build, made["token"])
    assert (response.status_code, response.json()["code"]) == (401, "token_expired")
    assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "module-builds/", "submit"),
        ("PATCH", "module-builds/{}", "cancel"),
        ("POST", "module-builds/{}/retry", "submit"),
        ("POST", "module-builds/{}/rebuild", "submit"),
        ("POST", "import-module/", "import"),
    ],
)
def test_a_token_permits_the_operations_of_its_scopes(
    caller: Caller,
    build: ModuleBuild,
    make: Callable[..., dict[str, Any]],
    option: Callable[..., None],
    method: str,
    path: str,
    scope: str,
) -> None:
    option(ALLOWED_GROUPS_TO_IMPORT_MODULE=frozenset({"packager"}))
    others = sorted({"submit", "cancel", "import", "admin"} - {scope})
    codes = {}
    for scopes in (others, [scope]):
        token = make(scopes=scopes)["token"]
        codes[scopes[0]] = caller.tokens(method, token, path.format(build.pk), b"{}").json().get("code")
    assert codes[others[0]] == "scope_missing"
    assert codes[scope] != "scope_missing"


def test_an_admins_token_is_an_admins_only_with_that_scope(
    caller: Caller,
    make: Callable[..., dict[str, Any]],
    option: Callable[..., None],
) -> None:
    option(ADMIN_GROUPS=frozenset({"packager"}))
    build = module_build(owner="bob", state=BuildState.BUILD)
    assert caller.cancel(build, make(scopes=["cancel"])["token"]).json()["code"] == "not_owner"
    assert caller.cancel(build, make(scopes=["cancel", "admin"])["token"]).status_code == 200


def test_a_token_cannot_make_tokens_and_sees_only_itself(
    caller: Caller, make: Callable[..., dict[str, Any]]
) -> None:
    first, second = make(), make()
    response = caller.tokens("POST", first["token"], body=b'{"name": "more"}')
    assert (response.status_code, response.json()["code"]) == (403, "made_by_token")
    listed = caller.tokens("GET", first["token"]).json()
    assert [each["id"] for each in listed["items"]] == [first["id"]]
    assert caller.tokens("DELETE", first["token"], f"tokens/{second['id']}").status_code == 404
    assert caller.tokens("DELETE", first["token"], f"tokens/{first['id']}").status_code == 200
    assert caller.tokens("GET", first["token"]).status_code == 401


def test_the_tokens_of_others_are_not_there(
    caller: Caller, make: Callable[..., dict[str, Any]], asking: Issuer
) -> None:
    made = make()
    asking.groups["bob"] = []
    bob = asking.opaque("bob")
    assert caller.tokens("GET", bob).json()["items"] == []
    assert caller.tokens("DELETE", bob, f"tokens/{made['id']}").status_code == 404
    assert ApiToken.objects.get().revoked_at is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_name"),
        ({"name": "  "}, "missing_name"),
        ({"name": "x" * 101}, "invalid_value"),
        ({"name": 1}, "invalid_value"),
        ({"name": "x", "scopes": []}, "unknown_scope"),
        ({"name": "x", "scopes": ["root"]}, "unknown_scope"),
        ({"name": "x", "scopes": "submit"}, "invalid_value"),
        ({"name": "x", "days": 0}, "invalid_days"),
        ({"name": "x", "days": -1}, "invalid_days"),
        ({"name": "x", "days": 366}, "invalid_days"),
        ({"name": "x", "days": 10**30}, "invalid_days"),
        *(({"name": "x", "days": days}, "invalid_value") for days in ("soon", True, 1.0, "9" * 2000, [1])),
        ({"name": "x", "owner": "bob"}, "unknown_key"),
        ({"name": "x", "groups": ["sysadmin"]}, "unknown_key"),
    ],
    ids=str,
)
def test_invalid_values_are_refused(caller: Caller, login: str, body: dict[str, Any], code: str) -> None:
    response = caller.tokens("POST", login, body=json.dumps(body).encode())
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert not ApiToken.objects.exists()


def test_listing_needs_a_login_and_no_other_site_may_read_it(caller: Caller, login: str) -> None:
    assert caller.client.get(f"{ROOT}tokens/").status_code == 401
    response = caller.tokens("GET", login)
    assert "Access-Control-Allow-Origin" not in response
    assert response["Cache-Control"] == "no-store"


def test_without_logins_there_are_no_tokens(caller: Caller, option: Callable[..., None]) -> None:
    response = caller.tokens("POST", "any", body=b'{"name": "x"}')
    assert (response.status_code, response.json()["code"]) == (403, "no_logins")


@pytest.mark.parametrize("token", ["mbs_", "mbs_" + "x" * 43, "mbs_ä", "mbs_" + "x" * 10000, "mbs_\0"])
def test_a_guess_is_no_token(caller: Caller, build: ModuleBuild, login: str, token: str) -> None:
    response = caller.cancel(build, token)
    assert (response.status_code, response.json()["code"]) == (401, "token_invalid")


def test_its_use_is_noted_once_a_minute(django_assert_num_queries: Any, asking: Issuer) -> None:
    row, token = tokens.create("ann", "ci", groups=["packager"])
    tokens.identify(token)
    row.refresh_from_db()
    first = row.last_used_at
    tokens.identify(token)
    row.refresh_from_db()
    assert row.last_used_at == first
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    tokens.identify(token)
    row.refresh_from_db()
    assert row.last_used_at > first
