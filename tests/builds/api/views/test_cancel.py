"""Cancelling and retrying module builds by ``PATCH``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from builds.models import ModuleBuild, OutboxMessage
from builds.services import cancellation, health
from mbs.states import BuildState
from tests.builds.rest import Api
from tests.factories import module_build

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("state", ["failed", "4", 4])
@pytest.mark.parametrize("before", [BuildState.INIT, BuildState.WAIT, BuildState.BUILD])
def test_the_owner_cancels(api: Api, state: Any, before: BuildState) -> None:
    build = module_build(state=before, owner="ann")
    answer = api.patch(f"module-builds/{build.pk}", {"state": state, "owner": "ann"})
    assert (answer["state_name"], answer["state_reason"]) == ("failed", "Canceled by ann.")
    assert answer["error"]["code"] == "canceled"
    assert "modulemd" in answer
    assert OutboxMessage.objects.get().body["state_name"] == "failed"


@pytest.mark.parametrize("before", [BuildState.DONE, BuildState.READY, BuildState.FAILED, BuildState.GARBAGE])
def test_an_ended_build_cannot_be_canceled(api: Api, before: BuildState) -> None:
    build = module_build(state=before, owner="ann")
    answer = api.patch(f"module-builds/{build.pk}", {"state": "failed", "owner": "ann"}, status=400)
    assert answer["code"] == "not_cancelable"
    assert f"Module build {build.pk} is {before.word} and" in answer["message"]


def test_a_canceled_build_cannot_be_canceled_again(api: Api) -> None:
    build = module_build(state=BuildState.BUILD, owner="ann")
    api.patch(f"module-builds/{build.pk}", {"state": "failed", "owner": "ann"})
    again = api.patch(f"module-builds/{build.pk}", {"state": "failed", "owner": "ann"}, status=400)
    assert again["code"] == "not_cancelable"
    assert "is failed (it was canceled)" in again["message"]
    assert OutboxMessage.objects.count() == 1


def test_the_service_cancels_twice_as_once() -> None:
    build = module_build(state=BuildState.BUILD, owner="ann")
    assert cancellation.cancel(build, "ann")
    assert not cancellation.cancel(build, "bob")
    assert build.state_reason == "Canceled by ann."


@pytest.mark.parametrize("body", [{"state": "failed"}, {"state": "failed", "owner": "bob"}])
def test_others_cannot_cancel(api: Api, body: dict[str, str]) -> None:
    build = module_build(owner="ann")
    assert api.patch(f"module-builds/{build.pk}", body, status=403)["code"] == "not_owner"
    assert ModuleBuild.objects.get().state == BuildState.INIT


@pytest.mark.parametrize("body", [{}, {"state": "ready"}, {"state": True}, {"name": "x"}])
def test_nothing_else_can_be_changed(api: Api, body: dict[str, Any]) -> None:
    build = module_build(owner="anonymous")
    api.patch(f"module-builds/{build.pk}", body, status=400)
    assert ModuleBuild.objects.get().state == BuildState.INIT


def test_unknown_keys_beside_the_state_are_ignored(api: Api) -> None:
    build = module_build(owner="anonymous", name="quiet")
    answer = api.patch(f"module-builds/{build.pk}", {"state": "failed", "name": "x", "reason": None})
    assert (answer["state_name"], answer["name"]) == ("failed", "quiet")


def test_a_build_that_is_not_there_cannot_be_canceled(api: Api) -> None:
    api.patch("module-builds/77", {"state": "failed"}, status=404)


def test_a_failed_build_is_retried(api: Api) -> None:
    build = module_build(state=BuildState.FAILED, owner="ann")
    answer = api.post(f"module-builds/{build.pk}/retry", {"owner": "ann"}, status=200)
    assert answer["state_name"] == "init"


def test_a_ready_build_cannot_be_retried(api: Api) -> None:
    build = module_build(state=BuildState.READY, owner="anonymous")
    assert api.post(f"module-builds/{build.pk}/retry", {}, status=409)["code"] == "not_failed"


def test_without_configured_logins_builds_cannot_be_canceled(api: Api, option: Callable[..., None]) -> None:
    option(NO_AUTH=False)
    api.patch(f"module-builds/{module_build().pk}", {"state": "failed"}, status=401)


def test_a_database_that_became_read_only_is_an_outage(api: Api) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("A file is not taken over by another server.")
    build = module_build(state=BuildState.BUILD, owner="ann")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        answer = api.patch(f"module-builds/{build.pk}", {"state": "failed", "owner": "ann"}, status=503)
        transaction.set_rollback(True)
    assert answer["code"] == "database_unavailable"


def test_a_retry_that_comes_second_answers_what_the_first_one_did(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = module_build(state=BuildState.FAILED, owner="ann")

    def somebody_is_faster() -> None:
        cancellation.resume(ModuleBuild.objects.get(pk=build.pk), "ann")

    monkeypatch.setattr(health, "require_broker", somebody_is_faster)
    answer = api.post(f"module-builds/{build.pk}/retry", {"owner": "ann"}, status=200)
    assert answer["state_name"] == "init"
