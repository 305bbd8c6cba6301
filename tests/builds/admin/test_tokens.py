"""API tokens in the admin."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from builds.models import ApiToken
from builds.services.auth import tokens

ADD = "/admin/builds/apitoken/add/"
WANTED = {"owner": "ann", "name": "nightly", "groups": "packager qa", "scopes": ["submit"], "days": "7"}


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("operator"))
    return client


def test_an_operator_makes_a_token_for_somebody_and_sees_it_once(operator: Client) -> None:
    assert operator.get(ADD).status_code == 200
    page = operator.post(ADD, WANTED, follow=True).content.decode()
    token = re.search(r"mbs_[\w-]{43}", page)
    assert token
    identity = tokens.identify(token[0])
    assert (identity.username, identity.groups, identity.scopes) == ("ann", {"packager", "qa"}, {"submit"})
    assert LogEntry.objects.get().user.username == "operator"
    row = ApiToken.objects.get()
    pages = [
        operator.get("/admin/builds/apitoken/"),
        operator.get(f"/admin/builds/apitoken/{row.pk}/change/"),
    ]
    assert all(page.status_code == 200 for page in pages)
    assert not any(secret in page.content.decode() for page in pages for secret in (token[0], row.digest))


@pytest.mark.parametrize(
    "wrong", [{"days": "366"}, {"days": "0"}, {"scopes": []}, {"scopes": ["x"]}, {"owner": ""}]
)
def test_invalid_values_are_refused(operator: Client, wrong: dict[str, Any]) -> None:
    assert operator.post(ADD, {**WANTED, **wrong}).status_code == 200
    assert not ApiToken.objects.exists()


def test_a_token_is_revoked_in_the_admin(operator: Client) -> None:
    row, _ = tokens.create("ann", "ci")
    form = {"action": "revoke", "_selected_action": [row.pk], "confirmed": "yes"}
    operator.post("/admin/builds/apitoken/", form)
    row.refresh_from_db()
    assert row.revoked_at


def test_only_operators_create_tokens(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("helper", is_staff=True))
    assert client.post(ADD, WANTED).status_code == 403
    assert not ApiToken.objects.exists()
