"""Subscriptions over the API: of one's own, for admins all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from builds.models import AuditEntry, Subscription
from builds.services import audit, subscribing
from tests.builds.services.auth.caller import Caller
from tests.builds.services.auth.oidc_provider import Issuer

pytestmark = pytest.mark.django_db
HOOK = "https://hooks.example.org/mbs"
Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def ask(caller: Caller, asking: Issuer) -> Ask:
    """Send a request about subscriptions as Ann."""
    login = asking.opaque()

    def asked(method: str, path: str = "", **body: Any) -> tuple[int, dict[str, Any]]:
        data = json.dumps(body).encode() if method == "POST" else b""
        answer = caller.tokens(method, login, f"subscriptions/{path}", data)
        return answer.status_code, answer.json()

    return asked


@pytest.fixture
def of_bob() -> Subscription:
    return Subscription.objects.create(address=HOOK, subscriber="bob", secret="whsec_bob")


def test_the_secret_of_a_webhook_is_shown_once(ask: Ask) -> None:
    status, made = ask("POST", address=HOOK, owner="ann", name="quiet", stream="1", ended_only=False)
    assert status == 201
    assert made["secret"].startswith("whsec_")
    row = Subscription.objects.get()
    assert (row.subscriber, row.owner, row.name, row.stream) == ("ann", "ann", "quiet", "1")
    assert (row.secret, row.ended_only) == (made["secret"], False)
    _, listed = ask("GET")
    assert [each["id"] for each in listed["items"]] == [made["id"]]
    assert made["secret"] not in json.dumps(listed)


def test_users_see_and_delete_only_their_own(ask: Ask, of_bob: Subscription) -> None:
    Subscription.objects.create(address=HOOK)  # an operator's
    _, mine = ask("POST", address=HOOK)
    assert [each["id"] for each in ask("GET")[1]["items"]] == [mine["id"]]
    assert ask("DELETE", str(of_bob.pk))[0] == 404
    assert ask("DELETE", str(mine["id"]))[0] == 200
    assert set(Subscription.objects.values_list("subscriber", flat=True)) == {"bob", ""}


def test_a_user_who_may_no_longer_submit_can_still_delete_subscriptions(
    ask: Ask, option: Callable[..., None]
) -> None:
    _, mine = ask("POST", address=HOOK)
    option(ALLOWED_GROUPS=frozenset({"others"}))
    assert ask("POST", address=HOOK)[0] == 403
    assert ask("DELETE", str(mine["id"]))[0] == 200


def test_the_audit_list_names_the_host_of_a_webhook_but_not_its_path(ask: Ask) -> None:
    _, mine = ask("POST", address=f"{HOOK}/secret")
    ask("DELETE", str(mine["id"]))
    entries = AuditEntry.objects.order_by("id").values_list("who", "action", "subject")
    subject = "subscription webhook to hooks.example.org"
    assert list(entries) == [("ann", audit.ADDED, subject), ("ann", audit.DELETED, subject)]


def test_admins_see_and_delete_all(ask: Ask, of_bob: Subscription, option: Callable[..., None]) -> None:
    option(ADMIN_GROUPS=frozenset({"packager"}))
    assert [each["subscriber"] for each in ask("GET")[1]["items"]] == ["bob"]
    assert ask("DELETE", str(of_bob.pk))[0] == 200
    assert not Subscription.objects.exists()


@pytest.mark.parametrize(
    "address", ["http://hooks.example.org/", "https://u:p@example.org/", "ftp://x", "", "x" * 1001]
)
def test_addresses_that_webhooks_must_not_have_are_refused(ask: Ask, address: str) -> None:
    assert ask("POST", address=address)[0] == 400
    assert not Subscription.objects.exists()


def test_only_admins_subscribe_mail_addresses(ask: Ask, option: Callable[..., None]) -> None:
    body = {"kind": "mail", "address": "someone@example.org"}
    assert ask("POST", **body)[1]["code"] == "mail_for_admins"
    option(ADMIN_GROUPS=frozenset({"packager"}))
    assert ask("POST", **body | {"address": "no address"})[1]["code"] == "invalid_mail_address"
    status, made = ask("POST", **body)
    assert (status, made["secret"]) == (201, None)


def test_a_user_has_a_limited_number_of_subscriptions(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribing, "MAX_SUBSCRIPTIONS", 2)
    assert [ask("POST", address=HOOK)[0] for _ in range(3)] == [201, 201, 409]


def test_without_credentials_no_subscription_is_shown(caller: Caller, asking: Issuer) -> None:
    assert caller.client.get("/module-build-service/2/subscriptions/").status_code == 401


def test_an_unknown_kind_is_refused(ask: Ask) -> None:
    assert ask("POST", address=HOOK, kind="pigeon")[1]["code"] == "invalid_kind"
