"""Buttons that cancel, retry, rebuild and retire one or several builds, and the form that submits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from builds.models import ModuleBuild, ModuleBuildTrace
from builds.services.module_import import import_module
from mbs.states import BuildState
from tests.builds.services.documents import PLATFORM
from tests.builds.web.browser import BROWSER, Page, get
from tests.factories import module_build

pytestmark = pytest.mark.django_db
DOCUMENT = """\
document: modulemd
version: 2
data:
  name: quiet
  stream: "1"
  summary: A module
  description: A module of a test.
  license: {module: [MIT]}
  dependencies:
  - buildrequires: {platform: [f39]}
    requires: {platform: [f39]}
"""


def log_in(client: Client, name: str, *groups: str, operator: bool = False) -> None:
    user = User.objects.create_user(name)
    for group in groups:
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    if operator:
        user.user_permissions.add(Permission.objects.get(codename="change_modulebuild"))
    client.force_login(user)


def send(client: Client, **form: Any) -> Any:
    return client.post("/act", form, headers=BROWSER)


def state(build: ModuleBuild) -> str:
    build.refresh_from_db()
    return build.state_name


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("cancel", BuildState.BUILD, "failed"),
        ("retry", BuildState.FAILED, "init"),
        ("retire", BuildState.READY, "garbage"),
    ],
)
def test_an_action_is_confirmed_and_done(client: Client, action: str, before: BuildState, after: str) -> None:
    build = module_build(state=before, owner="ann")
    address = f"/act?action={action}&build={build.pk}"
    assert address in get(client, f"/builds/{build.pk}").all("a", "href")
    confirmation = get(client, address)
    assert str(build.nsvc) in confirmation.text
    assert state(build) == BuildState(before).word
    assert send(client, action=action, build=build.pk)["Location"] == f"/builds/{build.pk}"
    assert state(build) == after
    assert "ann" in str(ModuleBuildTrace.objects.filter(module_build=build).last().state_reason)


def test_several_builds_are_acted_on_at_once_and_each_outcome_is_shown(client: Client) -> None:
    builds = [module_build(state=BuildState.BUILD, owner=owner) for owner in ("ann", "bob")]
    over = module_build(state=BuildState.READY)
    query = "&".join(f"build={build.pk}" for build in (*builds, over))
    confirmation = get(client, f"/act?action=cancel&{query}")
    assert confirmation.all("input", "value").count(str(over.pk)) == 0
    assert "Cancel 2 builds" in confirmation.text
    answer = send(client, action="cancel", build=[*(build.pk for build in builds), over.pk])
    page = Page(answer.content.decode())
    assert "Cancel: 2 of 3 done" in page.text
    assert f"Module build {over.pk} is ready" in page.text
    assert [state(build) for build in builds] == ["failed", "failed"]


def test_only_actions_that_the_state_allows_are_offered(client: Client) -> None:
    build = module_build(state=BuildState.READY)
    offered = [href for href in get(client, f"/builds/{build.pk}").all("a", "href") if "action=" in href]
    assert offered == [f"/act?action={name}&build={build.pk}" for name in ("rebuild", "retire")]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?action=cancel",
        "?action=destroy&build=1",
        "?action=cancel&build=x",
        "?action=compare&build=1&build=2&build=3",
    ],
)
def test_a_wrong_request_is_refused(client: Client, query: str) -> None:
    get(client, f"/act{query}", status=400)


def test_a_build_that_is_not_there_is_not_found(client: Client) -> None:
    get(client, "/act?action=cancel&build=999999", status=404)


def test_too_many_builds_are_refused(client: Client) -> None:
    get(client, "/act?action=cancel" + "".join(f"&build={n}" for n in range(51)), status=400)


def test_two_builds_are_compared(client: Client) -> None:
    answer = client.get("/act?action=compare&build=7&build=5", headers=BROWSER)
    assert answer["Location"] == "/compare/5...7"


def test_a_form_of_another_site_is_refused(client: Client) -> None:
    build = module_build(state=BuildState.BUILD)
    careful = Client(enforce_csrf_checks=True)
    answer = careful.post("/act", {"action": "cancel", "build": build.pk}, headers=BROWSER)
    assert answer.status_code == 403
    assert state(build) == "build"


def test_anonymous_users_are_redirected_to_the_login_and_back(client: Client, logins: None) -> None:
    build = module_build(state=BuildState.BUILD)
    answer = client.get(f"/act?action=cancel&build={build.pk}", headers=BROWSER)
    assert answer["Location"] == f"/login?next=%2Fact%3Faction%3Dcancel%26build%3D{build.pk}"
    assert send(client, action="cancel", build=build.pk)["Location"].startswith("/login")
    assert state(build) == "build"


@pytest.mark.parametrize(
    ("name", "groups", "operator", "action", "status"),
    [
        ("ann", ["packager"], False, "cancel", 302),
        ("ann", [], False, "cancel", 403),
        ("bob", ["packager"], False, "cancel", 403),
        ("bob", [], True, "cancel", 302),
        ("ann", ["packager"], False, "retire", 403),
        ("bob", [], True, "retire", 302),
        ("bob", [], False, "rebuild", 403),
    ],
)
def test_the_rules_of_the_api_hold(
    client: Client, logins: None, name: str, groups: list[str], operator: bool, action: str, status: int
) -> None:
    build = module_build(owner="ann", state=BuildState.READY if action == "retire" else BuildState.BUILD)
    log_in(client, name, *groups, operator=operator)
    assert send(client, action=action, build=build.pk).status_code == status
    assert (build.state == ModuleBuild.objects.get(pk=build.pk).state) == (status != 302)


def test_a_front_that_names_only_who_sends_forms_is_enough(
    client: Client, logins: None, option: Callable[..., None]
) -> None:
    option(AUTH_METHOD="kerberos", REMOTE_USER_FROM="environment", KERBEROS_REALM="EXAMPLE.COM")
    option(ALLOWED_GROUPS=frozenset(), ALLOWED_USERS=frozenset({"ann"}))
    build = module_build(state=BuildState.BUILD, owner="ann")
    assert str(build.nsvc) in get(client, f"/act?action=cancel&build={build.pk}").text
    assert "Show the plan" in get(client, "/submit").text
    form = {"action": "cancel", "build": build.pk}
    assert client.post("/act", form, headers=BROWSER).status_code == 302
    assert state(build) == "build"
    client.post("/act", form, headers=BROWSER, REMOTE_USER="ann@EXAMPLE.COM")
    assert state(build) == "failed"


def test_users_cannot_act_in_the_name_of_others(client: Client, logins: None) -> None:
    build = module_build(owner="ann", state=BuildState.BUILD)
    log_in(client, "bob", "packager")
    assert send(client, action="cancel", build=build.pk, owner="ann").status_code == 400
    assert state(build) == "build"


def test_an_account_logs_in_and_out(client: Client, logins: None) -> None:
    User.objects.create_user("ann", password="correct horse")
    assert "Log in" in get(client, "/").text
    form = {"username": "ann", "password": "correct horse", "next": "/builds/7"}
    assert client.post("/login", form, headers=BROWSER)["Location"] == "/builds/7"
    assert "/?mine=1" in get(client, "/").all("a", "href")
    client.post("/logout", headers=BROWSER)
    assert "/?mine=1" not in get(client, "/").all("a", "href")


def test_a_login_does_not_lead_to_other_sites(client: Client, logins: None) -> None:
    User.objects.create_user("ann", password="correct horse")
    form = {"username": "ann", "password": "correct horse", "next": "https://evil.example/"}
    assert client.post("/login", form, headers=BROWSER)["Location"] == "/?mine=1"
    assert client.get("/login?next=//evil.example/", headers=BROWSER)["Location"] == "/?mine=1"


def test_a_wrong_password_is_refused_with_a_message(client: Client, logins: None) -> None:
    answer = client.post("/login", {"username": "ann", "password": "guess"}, headers=BROWSER)
    assert "correct" in Page(answer.content.decode()).text


def test_guesses_lock_the_login_as_they_lock_that_to_the_admin(client: Client, logins: None) -> None:
    User.objects.create_user("ann", password="correct horse")
    for number in range(settings.AXES_FAILURE_LIMIT):
        client.post("/login", {"username": "ann", "password": f"guess {number}"}, headers=BROWSER)
    form = {"username": "ann", "password": "correct horse"}
    answer = client.post("/login", form, headers=BROWSER)
    assert answer.status_code == 429
    assert "too many failed logins" in Page(answer.content.decode()).text
    assert client.post("/admin/login/", form, headers=BROWSER).status_code == 429


@pytest.mark.parametrize("cookie", ["%00", "ä", "x" * 5000, "'; drop table"])
def test_an_invalid_session_has_no_user(client: Client, cookie: str) -> None:
    client.cookies["sessionid"] = cookie
    assert "Log in" in get(client, "/").text


def test_the_plan_is_shown_before_anything_is_submitted(client: Client) -> None:
    import_module(PLATFORM.format(stream="f39"))
    assert "Show the plan" in get(client, "/submit").text
    answer = client.post("/submit", {"modulemd": DOCUMENT, "owner": "zoe"}, headers=BROWSER)
    page = Page(answer.content.decode())
    assert answer.status_code == 200
    assert "Would be built" in page.text
    assert "quiet:1:" in page.text
    assert not ModuleBuild.objects.filter(name="quiet").exists()
    form = {"modulemd": DOCUMENT, "owner": "zoe", "confirmed": "1"}
    answer = client.post("/submit", form, headers=BROWSER)
    build = ModuleBuild.objects.get(name="quiet")
    assert answer["Location"] == f"/builds/{build.pk}"
    assert build.owner == "zoe"
    assert build.submission.document == DOCUMENT


def test_a_refused_submission_keeps_what_was_typed(client: Client) -> None:
    answer = client.post("/submit", {"modulemd": "<script>: [", "branch": "b 1"}, headers=BROWSER)
    page = Page(answer.content.decode())
    assert answer.status_code == 400
    assert page.all("input", "value").count("b 1") == 1
    assert "<script>:" not in page.html


def test_users_who_may_not_submit_see_no_form(client: Client, logins: None) -> None:
    assert client.get("/submit", headers=BROWSER)["Location"] == "/login?next=%2Fsubmit"
    log_in(client, "eve")
    get(client, "/submit", status=403)
