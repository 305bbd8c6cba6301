"""The audit list: who did what, by which interface."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from builds.models import AuditEntry, ModuleBuild, Subscription
from builds.observability import origin
from builds.services import audit, cancellation, module_import, retirement
from builds.services.auth import tokens
from builds.workflow import sweeps
from mbs.states import BuildState
from tests.builds.web.browser import BROWSER, Page
from tests.factories import module_build

pytestmark = pytest.mark.django_db
ADMIN = "/admin/builds/"
LIST = f"{ADMIN}auditentry/"
PLATFORM = """document: modulemd
version: 2
data:
  name: platform
  stream: f30
  version: 3
  summary: A base module
  description: A base module.
  license: {module: [MIT]}
"""


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("operator"))
    return client


def recorded() -> list[tuple[str, str, str, str]]:
    """Who did what to which thing, and how."""
    return list(AuditEntry.objects.order_by("pk").values_list("who", "action", "subject", "via"))


def test_actions_of_services_are_recorded() -> None:
    build, ready = module_build(), module_build(state=BuildState.READY)
    cancellation.cancel(build, "ann")
    cancellation.cancel(build, "bob")
    cancellation.resume(build, "ann")
    retirement.retire(ready, "carol")
    imported, _ = module_import.import_module(PLATFORM, who="dave")
    name, other = str(build.nsvc), str(ready.nsvc)
    assert recorded() == [
        ("ann", "canceled", name, "command"),
        ("ann", "retried", name, "command"),
        ("carol", "retired", other, "command"),
        ("dave", "imported", str(imported.nsvc), "command"),
    ]


def test_a_refused_action_is_not_recorded() -> None:
    build = module_build(state=BuildState.READY)
    with pytest.raises(Exception, match="cannot be canceled"):
        cancellation.cancel(build, "ann")
    assert recorded() == []


def test_tokens_are_recorded_with_who_made_and_revoked_them() -> None:
    row, token = tokens.create("ann", "script", by="operator")
    tokens.revoke(row)
    tokens.revoke(row)
    assert [(who, action) for who, action, *_ in recorded()] == [
        ("operator", "token created"),
        ("ann", "token revoked"),
    ]
    assert token not in str(AuditEntry.objects.values())


@pytest.mark.parametrize(
    ("path", "via"),
    [
        ("/module-build-service/2/module-builds/{}", "api"),
        ("/act", "page"),
        ("/admin/builds/modulebuild/", "admin"),
    ],
)
def test_the_interface_and_the_request_are_recorded(
    operator: Client, settings: Any, path: str, via: str
) -> None:
    settings.MBS = settings.MBS.model_copy(update={"NO_AUTH": True})
    build = module_build()
    form = {"action": "cancel", "build": build.pk, "_selected_action": build.pk, "confirmed": "yes"}
    headers = {"X-Request-ID": "request-7"}
    if via == "api":
        body = {"state": "failed", "owner": "ann"}
        operator.patch(path.format(build.pk), body, content_type="application/json", headers=headers)
    else:
        operator.post(path, form, headers={**headers, **BROWSER})
    (entry,) = AuditEntry.objects.all()
    assert (entry.action, entry.via, entry.request_id, entry.module_build) == (
        "canceled",
        via,
        "request-7",
        build,
    )


def test_changes_in_the_admin_are_recorded(operator: Client) -> None:
    form = {"kind": "webhook", "address": "https://hooks.example.com/mbs", "owner": "ann", "active": "on"}
    operator.post(f"{ADMIN}subscription/add/", form)
    row = Subscription.objects.get()
    operator.post(f"{ADMIN}subscription/{row.pk}/change/", {**form, "owner": "bob"})
    operator.post(f"{ADMIN}subscription/{row.pk}/delete/", {"post": "yes"})
    operator.post("/admin/auth/group/add/", {"name": "operators"})
    assert Group.objects.exists()
    # Without the path, which may be a secret.
    subject = "subscription webhook to hooks.example.com"
    assert recorded() == [
        ("operator", "added", subject, "admin"),
        ("operator", "changed", subject, "admin"),
        ("operator", "deleted", subject, "admin"),
        ("operator", "added", "group operators", "admin"),
    ]
    assert AuditEntry.objects.get(action="changed").detail == "Owner"


def test_the_list_is_filtered_by_person_and_build(operator: Client) -> None:
    one, two = module_build(name="one"), module_build(name="two")
    audit.record(audit.SUBMITTED, "ann", one)
    audit.record(audit.CANCELED, "bob", two)
    for query in ("q=ann", "who=ann", f"q={one.pk}", f"module_build__id__exact={one.pk}", "q=one"):
        text = Page(operator.get(f"{LIST}?{query}").content.decode()).text
        assert str(one.nsvc) in text, query
        assert str(two.nsvc) not in text, query
    page = operator.get(f"{ADMIN}modulebuild/{one.pk}/change/").content.decode()
    assert f'href="{LIST}?module_build__id__exact={one.pk}"' in page


def test_a_name_finds_the_entries_of_a_user_and_of_a_module_once(operator: Client) -> None:
    both, of_user, other = module_build(name="ann"), module_build(name="one"), module_build(name="two")
    audit.record(audit.SUBMITTED, "ann", both)
    audit.record(audit.SUBMITTED, "ann", of_user)
    audit.record(audit.SUBMITTED, "bob", both)
    audit.record(audit.SUBMITTED, "bob", other)
    page = operator.get(f"{LIST}?q=ann&via__exact=api")
    assert page.context["cl"].result_count == 0
    page = operator.get(f"{LIST}?q=ann")
    assert page.context["cl"].result_count == 3
    assert str(other.nsvc) not in Page(page.content.decode()).text


def test_the_list_cannot_be_changed(operator: Client) -> None:
    audit.record(audit.SUBMITTED, "ann", module_build())
    entry = AuditEntry.objects.get()
    for page in ("change", "delete"):
        assert operator.post(f"{LIST}{entry.pk}/{page}/", {"who": "eve", "post": "yes"}).status_code == 403
    assert AuditEntry.objects.get().who == "ann"


def test_texts_that_are_too_long_are_cut() -> None:
    audit.record("a" * 100, "b" * 1000, subject="c" * 1000, detail="d" * 1000)
    entry = AuditEntry.objects.get()
    assert [len(text) for text in (entry.action, entry.who, entry.subject, entry.detail)] == [
        32,
        255,
        255,
        500,
    ]


def test_old_entries_are_deleted(option: Any) -> None:
    option(AUDIT_DAYS=10)
    for _ in range(2):
        audit.record(audit.SUBMITTED, "ann", module_build())
    first = AuditEntry.objects.order_by("pk").first()
    AuditEntry.objects.filter(pk=first.pk).update(time=timezone.now() - timedelta(days=11))
    assert sweeps.clean_up()["audit_entries"] == 1
    assert not AuditEntry.objects.filter(pk=first.pk).exists()


def test_an_entry_outlives_its_build() -> None:
    build = module_build(name="gone")
    audit.record(audit.SUBMITTED, "ann", build)
    ModuleBuild.objects.all().delete()
    assert AuditEntry.objects.get().subject == str(build.nsvc)


def test_work_without_a_request_comes_from_a_command() -> None:
    assert origin.current() == origin.COMMAND
