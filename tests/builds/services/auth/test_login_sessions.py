"""Logins at an OpenID provider last as long as the provider wants, and end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from builds.models import ModuleBuild
from builds.services.auth import login_sessions
from mbs.states import BuildState
from tests.builds.services.auth.login_steps import (
    Clock,
    log_in,
    name,
    refused,
)
from tests.builds.services.auth.oidc_provider import CLIENT, Issuer, issuer
from tests.builds.web.browser import BROWSER, Page, get
from tests.factories import module_build

pytestmark = pytest.mark.django_db
BUILD = "/act?action=cancel&build="


def test_groups_are_checked_again_at_each_action(
    client: Client, login_provider: Issuer, clock: Clock
) -> None:
    log_in(client)
    get(client, "/submit")
    login_provider.groups["ann"] = []
    clock.forward(901)
    refused(client.get("/submit", headers=BROWSER), 403, "none of the groups packager")


@pytest.mark.parametrize("rotating", [False, True])
def test_a_login_outlives_its_access_token(
    client: Client, login_provider: Issuer, clock: Clock, rotating: bool
) -> None:
    login_provider.rotating = rotating
    build = module_build(owner="ann", state=BuildState.BUILD)
    log_in(client)
    for _ in range(3):
        clock.forward(400)
        get(client, f"{BUILD}{build.pk}")
    assert name(client) == "ann"


def test_a_login_without_a_refresh_token_ends_with_its_access_token(
    client: Client, login_provider: Issuer, clock: Clock
) -> None:
    login_provider.refreshing = False
    log_in(client)
    get(client, "/submit")
    clock.forward(400)
    assert client.get("/submit", headers=BROWSER)["Location"] == "/login?next=%2Fsubmit"
    assert name(client) == ""


@pytest.mark.parametrize("refreshing", [False, True])
def test_a_login_that_the_provider_revokes_ends_within_the_cache_time(
    client: Client, login_provider: Issuer, clock: Clock, refreshing: bool
) -> None:
    login_provider.refreshing, login_provider.seconds = refreshing, 36000
    build = module_build(owner="ann", state=BuildState.BUILD)
    log_in(client)
    login_provider.end_logins("ann")
    clock.forward(901)
    answer = client.post("/act", {"action": "cancel", "build": build.pk}, headers=BROWSER)
    assert answer["Location"] == f"/login?next=%2Fact%3Faction%3Dcancel%26build%3D{build.pk}"
    build.refresh_from_db()
    assert build.state == BuildState.BUILD
    assert name(client) == ""
    assert not Session.objects.exists()


def test_tokens_of_a_former_provider_are_not_sent_to_its_successor(
    client: Client, login_provider: Issuer, clock: Clock, option: Callable[..., None]
) -> None:
    log_in(client)
    clock.forward(901)
    with issuer() as successor:
        option(OIDC_ISSUER=successor.url)
        assert name(client) == ""
        answer = client.get("/submit", headers=BROWSER)
        assert answer["Location"].startswith("/login")
        assert not successor.asked
    assert login_sessions.KEY not in client.session


def test_a_reader_whose_login_was_revoked_is_logged_out(
    client: Client, login_provider: Issuer, clock: Clock
) -> None:
    log_in(client)
    login_provider.end_logins("ann")
    assert name(client) == "ann"
    clock.forward(901)
    assert name(client) == ""


def test_a_provider_that_is_away_stops_actions_but_no_reader(
    client: Client, login_provider: Issuer, clock: Clock
) -> None:
    log_in(client)
    clock.forward(901)
    login_provider.status = 500
    assert name(client) == "ann"
    asked = sum(login_provider.asked.values())
    assert name(client) == "ann"
    assert sum(login_provider.asked.values()) == asked
    refused(client.get("/submit", headers=BROWSER), 503, "Logins cannot be checked at the moment.")
    login_provider.status = 200
    get(client, "/submit")


def test_readers_do_not_wait_for_a_provider_that_hangs(
    client: Client, signing: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(client)
    clock.forward(901)
    key = str(client.session.session_key)
    renew, answers = login_sessions.web_login.renew, []

    def hang(token: str) -> Any:
        """Let another window of the same browser read and act while this one waits for the provider."""
        other = Client()
        other.cookies["sessionid"] = key
        answers.append(name(other))
        return renew(token)

    monkeypatch.setattr(login_sessions.web_login, "renew", hang)
    get(client, "/submit")
    assert answers == ["ann"]


def test_another_user_in_the_new_token_ends_the_login(
    client: Client, login_provider: Issuer, clock: Clock
) -> None:
    log_in(client)
    login_provider.refresh_tokens = dict.fromkeys(login_provider.refresh_tokens, "bob")
    login_provider.groups["bob"] = ["packager"]
    clock.forward(901)
    assert client.get("/submit", headers=BROWSER)["Location"] == "/login?next=%2Fsubmit"


def test_a_refresh_token_that_another_process_has_used_does_not_end_the_login(
    client: Client, login_provider: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    login_provider.rotating = True
    log_in(client)
    other = Client()
    other.cookies = client.cookies.copy()
    clock.forward(400)
    get(other, "/submit")
    stored, outdated = login_sessions._stored, [login_sessions._read]

    def seen(session: Any) -> Any:
        """Return the login as it was before the other process renewed it, once."""
        return (outdated.pop() if outdated else stored)(session)

    monkeypatch.setattr(login_sessions, "_stored", seen)
    get(client, "/submit")


def test_the_session_is_a_new_one_after_the_login(client: Client, login_provider: Issuer) -> None:
    session = client.session
    session["planted"] = "by an attacker"
    session.save()
    client.cookies["sessionid"] = session.session_key
    log_in(client)
    assert client.cookies["sessionid"].value != session.session_key
    assert not Session.objects.filter(pk=session.session_key).exists()
    assert "planted" not in client.session


def test_the_tokens_are_encrypted_in_the_database(client: Client, login_provider: Issuer) -> None:
    log_in(client)
    stored = json.dumps(dict(client.session))
    secrets = [*login_provider.tokens, *login_provider.refresh_tokens]
    assert len(secrets) == 2
    assert not [secret for secret in secrets if secret in stored]


def test_the_logout_ends_the_session_and_offers_to_end_the_login(
    client: Client, login_provider: Issuer
) -> None:
    log_in(client)
    answer = client.post("/logout", headers=BROWSER)
    page = Page(answer.content.decode())
    assert "You are logged out" in page.text
    assert "Log out ann" not in page.text
    link = next(each for each in page.all("a", "href") if each.startswith(login_provider.url))
    query = parse_qs(urlsplit(link).query)
    assert query == {
        "client_id": [CLIENT["client_id"]],
        "post_logout_redirect_uri": ["http://testserver/"],
    }
    assert name(client) == ""
    assert not Session.objects.exists()


@pytest.mark.parametrize("described", [{"end_session_endpoint": None}, {"end_session_endpoint": "data:,x"}])
def test_a_provider_without_logout_is_not_linked(
    client: Client, signing: Issuer, described: dict[str, Any]
) -> None:
    signing.described = described
    log_in(client)
    page = Page(client.post("/logout", headers=BROWSER).content.decode())
    assert "You are logged out" in page.text
    assert not [link for link in page.all("a", "href") if link.startswith(("data:", "http"))]


def test_a_logout_in_another_window_is_not_undone(
    client: Client, signing: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(client)
    clock.forward(901)
    renew = login_sessions.web_login.renew

    def renewed(token: str) -> Any:
        Session.objects.all().delete()
        return renew(token)

    monkeypatch.setattr(login_sessions.web_login, "renew", renewed)
    assert client.get("/submit", headers=BROWSER)["Location"] == "/login?next=%2Fsubmit"
    assert not Session.objects.exists()


def test_only_operators_log_in_with_a_password(client: Client, signing: Issuer) -> None:
    User.objects.create_user("ann", password="correct horse")
    User.objects.create_superuser("root", password="correct horse")
    form = {"username": "ann", "password": "correct horse"}
    refused(client.post("/login", form, headers=BROWSER), 200, "Only operators log in with a password.")
    assert client.post("/login", form | {"username": "root"}, headers=BROWSER).status_code == 302
    assert name(client) == "root"


def test_the_account_of_an_operator_replaces_the_login(client: Client, signing: Issuer) -> None:
    User.objects.create_superuser("root", password="correct horse")
    log_in(client)
    client.post("/login", {"username": "root", "password": "correct horse"}, headers=BROWSER)
    assert name(client) == "root"
    client.post("/logout", headers=BROWSER)
    assert name(client) == ""


@pytest.mark.parametrize(
    "options", [{"OIDC_WEB_LOGIN": False}, {"NO_AUTH": True}, {"AUTH_METHOD": "kerberos"}], ids=str
)
def test_logins_end_where_they_are_switched_off(
    client: Client, signing: Issuer, option: Callable[..., None], options: dict[str, Any]
) -> None:
    log_in(client)
    option(**options)
    assert name(client) == ""
    assert "/login/provider" not in get(client, "/login").html
    assert client.get("/login/provider", headers=BROWSER).status_code == 404
    assert client.get("/login/callback", headers=BROWSER).status_code == 404


def test_the_api_ignores_the_session(client: Client, signing: Issuer) -> None:
    """Otherwise, forms of other sites could use it: the API has no CSRF tokens."""
    build = module_build(owner="ann", state=BuildState.BUILD)
    log_in(client)
    answer = client.patch(
        f"/module-build-service/2/module-builds/{build.pk}", {"state": "failed"}, "application/json"
    )
    assert answer.status_code == 401
    assert ModuleBuild.objects.get().state == BuildState.BUILD


def test_pages_with_a_name_are_private_and_errors_show_it(client: Client, signing: Issuer) -> None:
    assert "private" not in client.get("/queue", headers=BROWSER)["Cache-Control"]
    log_in(client)
    found = ("/queue", "/module-build-service/2/about/", "/module-build-service/2/module-builds/")
    faults = (("/builds/999999", 404), ("/no-such-page", 404), ("/act", 400))
    for path, status in (*((each, 200) for each in found), *faults):
        answer = client.get(path, headers=BROWSER)
        assert answer.status_code == status
        assert "private" in answer["Cache-Control"], path
        assert "Log out ann" in Page(answer.content.decode()).text, path
