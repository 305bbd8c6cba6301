"""Permissions to retry, rebuild and import, after a login."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from builds.models import ModuleBuild
from mbs.states import BuildState
from tests.builds.services import documents
from tests.builds.services.auth.caller import Caller
from tests.builds.services.auth.oidc_provider import Issuer
from tests.factories import module_build
from tests.gitrepos import make_repo

pytestmark = pytest.mark.django_db
PLATFORM = documents.PLATFORM.format(stream="f40")


@pytest.fixture
def people(asking: Issuer, option: Callable[..., None]) -> Issuer:
    """Ann and Bob build packages, Root is an admin and nothing else, Eve is nobody."""
    option(ADMIN_GROUPS=frozenset({"sysadmin"}))
    asking.groups |= {"ann": ["packager"], "bob": ["packager"], "root": ["sysadmin"], "eve": []}
    return asking


@pytest.mark.parametrize(
    ("user", "status", "code"),
    [("ann", 200, None), ("root", 200, None), ("bob", 403, "not_owner"), ("eve", 403, "not_in_group")],
)
def test_owners_and_admins_retry(
    caller: Caller, people: Issuer, user: str, status: int, code: str | None
) -> None:
    failed = module_build(owner="ann", state=BuildState.FAILED)
    answer = caller.tokens("POST", people.opaque(user), f"module-builds/{failed.pk}/retry", b"{}")
    assert answer.status_code == status, answer.content
    assert answer.json().get("code") == code
    failed.refresh_from_db()
    assert failed.state == (BuildState.INIT if status == 200 else BuildState.FAILED)


def test_an_owner_who_may_build_no_more_may_not_change_builds_either(caller: Caller, people: Issuer) -> None:
    people.groups["ann"] = []
    build = module_build(owner="ann", state=BuildState.BUILD)
    assert caller.cancel(build, people.opaque("ann")).json()["code"] == "not_in_group"


def test_users_cannot_name_another_owner(caller: Caller, people: Issuer) -> None:
    build = module_build(owner="ann", state=BuildState.BUILD)
    body = json.dumps({"owner": "ann", "state": "failed"}).encode()
    for path, method in (("", "PATCH"), ("/retry", "POST"), ("/rebuild", "POST")):
        answer = caller.tokens(method, people.opaque("bob"), f"module-builds/{build.pk}{path}", body)
        assert answer.status_code in (400, 403)
    answer = caller.tokens("POST", people.opaque("bob"), "module-builds/", b'{"owner": "ann", "scmurl": "x"}')
    assert (answer.status_code, answer.json()["code"]) == (400, "owner_not_allowed")


@pytest.mark.parametrize("user", ["root", "eve"])
def test_users_who_may_not_submit_may_not_rebuild(caller: Caller, people: Issuer, user: str) -> None:
    build = module_build(owner="ann", state=BuildState.READY)
    answer = caller.tokens("POST", people.opaque(user), f"module-builds/{build.pk}/rebuild", b"{}")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_in_group")


def test_import_needs_one_of_its_groups(
    caller: Caller, people: Issuer, option: Callable[..., None], tmp_path: Path
) -> None:
    commit = make_repo(tmp_path / "platform", {"platform.yaml": PLATFORM})
    body = json.dumps({"scmurl": f"{(tmp_path / 'platform').as_uri()}?#{commit}"}).encode()
    option(SCMURLS=(f"{tmp_path.as_uri()}/",))

    def imported(user: str) -> tuple[int, str | None]:
        answer = caller.tokens("POST", people.opaque(user), "import-module/", body)
        return answer.status_code, answer.json().get("code")

    assert imported("root") == (403, "import_not_allowed")
    option(ALLOWED_GROUPS_TO_IMPORT_MODULE=frozenset({"sysadmin"}))
    assert imported("ann") == (403, "not_in_group")
    assert not ModuleBuild.objects.exists()
    assert imported("root") == (201, None)
    assert imported("root") == (201, None)
    assert ModuleBuild.objects.get().state == BuildState.READY
    option(SCMURLS=("https://git.example.com/",))
    assert imported("root")[0] == 403
    assert caller.client.post("/module-build-service/1/import-module/").status_code == 401
