"""The admin: lists, pages and actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from builds.models import (
    Arch,
    ComponentBuild,
    Delivery,
    LogMessage,
    ModuleBuild,
    OutboxMessage,
    Subscription,
    Sweep,
    Wait,
)
from builds.models.module import Phase
from builds.services.auth import tokens
from mbs.states import BuildState
from tests.builds.web.browser import Page
from tests.factories import base_module, component_build, module_build, wait

pytestmark = pytest.mark.django_db
ADMIN = "/admin/builds/"


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("operator"))
    return client


def act(client: Client, model: str, action: str, *rows: Any, confirm: bool = True) -> str:
    """Run an action on rows, and confirm it if that is asked for; answers the page that follows."""
    form = {"action": action, "_selected_action": [row.pk for row in rows]}
    page = client.post(f"{ADMIN}{model}/", form, follow=True).content.decode()
    if not confirm or 'name="confirmed"' not in page:
        return page
    return client.post(f"{ADMIN}{model}/", {**form, "confirmed": "yes"}, follow=True).content.decode()


@pytest.mark.parametrize(
    "model",
    [
        "auditentry",
        "modulebuild",
        "componentbuild",
        "wait",
        "outboxmessage",
        "sweep",
        "apitoken",
        "arch",
        "virtualstream",
        "subscription",
        "delivery",
    ],
)
def test_every_list_and_page_opens(operator: Client, model: str) -> None:
    build = base_module(virtual_streams=("fedora",))
    component = component_build(build, task_url="https://koji.example.com/taskinfo?taskID=1", task_id=1)
    wait(build, component_build=component)
    LogMessage.objects.create(module_build=build, message="It went well.")
    OutboxMessage.objects.create(module_build=build, topic="t", body={})
    Sweep.objects.create(name="outbox", started_at=timezone.now())
    Arch.objects.create(name="x86_64")
    tokens.create("ann", name="for a script", scopes=["submit"], days=1)
    subscription = Subscription.objects.create(address="https://hooks.example.com/")
    Delivery.objects.create(subscription=subscription, topic="t", body={})
    page = operator.get(f"{ADMIN}{model}/")
    assert page.status_code == 200
    link = page.content.decode().split(f'href="{ADMIN}{model}/')[-1].split('"')[0]
    assert operator.get(f"{ADMIN}{model}/{link}").status_code == 200


@pytest.mark.parametrize(("model", "query"), [("auditentry", "action=%00"), ("modulebuild", "owner=a%00")])
def test_a_filter_with_the_character_nul_is_refused(operator: Client, model: str, query: str) -> None:
    assert operator.get(f"{ADMIN}{model}/?{query}").status_code == 400


@pytest.mark.parametrize(
    "term", ["{pk}", "platform", "platform:f30", "platform:f30:3:00000000", "ann", "tag-1"]
)
def test_builds_are_found_by_what_operators_know_of_them(operator: Client, term: str) -> None:
    build = base_module(koji_tag="tag-1")
    module_build(owner="bob")
    page = operator.get(f"{ADMIN}modulebuild/", {"q": term.format(pk=build.pk)}).content.decode()
    assert "platform:f30:3:00000000" in page
    assert "quiet:" not in page


def test_a_component_links_to_the_build_system(operator: Client) -> None:
    component_build(module_build(), package="bash", task_url="https://koji.example.com/taskinfo?taskID=1")
    page = operator.get(f"{ADMIN}componentbuild/", {"q": "bash"}).content.decode()
    assert 'href="https://koji.example.com/taskinfo?taskID=1"' in page


def test_an_address_that_is_none_is_no_link_that_runs(operator: Client) -> None:
    component_build(module_build(), task_url='"><script>alert(1)</script>')
    assert "<script>alert" not in operator.get(f"{ADMIN}componentbuild/").content.decode()


def test_canceling_is_recorded_with_who_did_it(operator: Client) -> None:
    build, ready = module_build(), module_build(state=BuildState.READY)
    page = act(operator, "modulebuild", "cancel", build, ready)
    build.refresh_from_db()
    assert (build.state, build.state_reason) == (BuildState.FAILED, "Canceled by operator.")
    assert "cannot be canceled any more" in page
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id, entry.get_change_message()) == (
        "operator",
        str(build.pk),
        "Canceled",
    )


def test_canceling_again_is_refused_and_not_recorded(operator: Client) -> None:
    build = module_build()
    act(operator, "modulebuild", "cancel", build)
    assert "it was canceled" in act(operator, "modulebuild", "cancel", build)
    assert LogEntry.objects.count() == 1


#: Actions that destroy nothing: what they do can be done again.
HARMLESS = {
    "retry",
    "advance_now",
    "resend_messages",
    "wake_now",
    "resend",
    "run_now",
    "send_again",
    "cleanup_expired_attempts",
}


def test_each_destructive_action_is_confirmed_on_a_page_of_its_own(operator: Client) -> None:
    asked = []
    user = User.objects.get()
    for model, page in admin.site._registry.items():
        request = RequestFactory().get("/")
        request.user = user
        for name in page.get_actions(request):
            if name in HARMLESS:
                continue
            asked.append((model._meta.model_name, name))
            row = _row_of(model)
            before = model._default_manager.filter(pk=row.pk).values().get()
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            shown = operator.post(address, {"action": name, "_selected_action": [row.pk]}).content.decode()
            assert f'value="{row.pk}"' in shown
            assert 'name="confirmed"' in shown or 'name="post"' in shown, f"{name} is confirmed"
            assert model._default_manager.filter(pk=row.pk).values().get() == before, f"{name} has waited"
    expected = {("modulebuild", "cancel"), ("modulebuild", "retire"), ("apitoken", "revoke")}
    assert expected | {("subscription", "delete_selected"), ("user", "delete_selected")} <= set(asked)


def _row_of(model: Any) -> Any:
    match model._meta.model_name:
        case "modulebuild":
            return module_build()
        case "apitoken":
            return tokens.create("ann", name="for a script", scopes=["submit"], days=1)[0]
        case "group":
            return Group.objects.create(name="operators")
        case "user":
            return User.objects.create_user("old")
        case "subscription":
            return Subscription.objects.create(address="https://hooks.example.com/")
        case "accessattempt":
            login = {"username": "ann", "ip_address": "192.0.2.1", "failures_since_start": 1}
            return model._default_manager.create(**login)
    return model._default_manager.create(username="ann", ip_address="192.0.2.1")


def test_the_confirmation_names_the_rows_and_the_consequence(operator: Client) -> None:
    build = module_build(name="doomed")
    page = act(operator, "modulebuild", "cancel", build, confirm=False)
    assert "The build fails, and its running components are stopped." in page
    assert str(build.nsvc) in page
    assert "Cancel 1 module build?" in page


def test_too_many_rows_are_not_confirmed_at_once(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builds.admin.base.MAX_CONFIRMED", 1)
    page = act(operator, "modulebuild", "cancel", module_build(), module_build())
    assert "Nothing was changed: choose at most 1 rows." in page
    assert not ModuleBuild.objects.filter(state=BuildState.FAILED).exists()


def test_traces_show_names_of_states(operator: Client) -> None:
    build = module_build(state=BuildState.READY, components=1)
    component = build.component_builds.get()
    page = operator.get(f"{ADMIN}modulebuild/{build.pk}/change/").content.decode()
    assert [name in page for name in ("<p>init</p>", "<p>done</p>", "<p>ready</p>")] == [True] * 3
    assert "<p>COMPLETE</p>" in operator.get(f"{ADMIN}componentbuild/{component.pk}/change/").content.decode()


def test_the_list_of_builds_shows_batch_phase_and_times(operator: Client) -> None:
    now = timezone.now()
    module_build(
        **{"state": BuildState.BUILD, "phase": Phase.TAGGING, "batch": 2, "batches": 5},
        time_submitted=now - timedelta(hours=4),
    )
    text = Page(operator.get(f"{ADMIN}modulebuild/").content.decode()).text
    assert f"2 of 5 {Phase.TAGGING.label} 4 h ago 4 h 00 min so far" in text


def test_a_failed_build_is_retried(operator: Client) -> None:
    build = module_build(state=BuildState.FAILED)
    act(operator, "modulebuild", "retry", build)
    assert ModuleBuild.objects.get().state == BuildState.INIT


def test_a_ready_build_is_retired_and_one_on_its_way_is_not(operator: Client) -> None:
    ready, building = module_build(state=BuildState.READY), module_build(state=BuildState.BUILD)
    page = act(operator, "modulebuild", "retire", ready, building)
    ready.refresh_from_db()
    building.refresh_from_db()
    assert (ready.state, building.state) == (BuildState.GARBAGE, BuildState.BUILD)
    assert "only ready and failed builds can be retired" in page


def test_a_build_is_advanced_at_once(
    operator: Client, sent_tasks: list[tuple[Any, ...]], django_capture_on_commit_callbacks: Any
) -> None:
    build = module_build()
    with django_capture_on_commit_callbacks(execute=True):
        act(operator, "modulebuild", "advance_now", build)
    assert sent_tasks == [("workflow.advance", build.pk)]


def test_a_sweep_is_started_at_once(operator: Client, sent_tasks: list[tuple[Any, ...]]) -> None:
    act(operator, "sweep", "run_now", Sweep.objects.create(name="outbox"))
    assert sent_tasks == [("sweep.outbox",)]


def test_a_wait_is_woken(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[Wait] = []
    monkeypatch.setattr("builds.dispatch.wake_waits", woken.extend)
    row = wait(module_build())
    act(operator, "wait", "wake_now", row)
    assert woken == [row]


@pytest.mark.parametrize("model", ["modulebuild", "outboxmessage"])
def test_messages_are_sent_once_more_with_the_ids_they_had(
    operator: Client, model: str, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    build = module_build()
    message = OutboxMessage.objects.create(
        module_build=build, topic="t", body={}, published_at=timezone.now()
    )
    published: list[OutboxMessage] = []

    class Bus:
        def ready(self) -> bool:
            return True

        def publish(self, messages: list[OutboxMessage]) -> int:
            published.extend(messages)
            return len(messages)

    monkeypatch.setattr("builds.messaging.outbox.publisher", Bus)
    with django_capture_on_commit_callbacks(execute=True):
        if model == "modulebuild":
            act(operator, model, "resend_messages", build)
        else:
            act(operator, model, "resend", message)
    assert [each.message_id for each in published] == [message.message_id]


def test_a_token_is_revoked(operator: Client) -> None:
    row, _ = tokens.create("ann", name="for a script", scopes=["submit"], days=1)
    act(operator, "apitoken", "revoke", row)
    row.refresh_from_db()
    assert row.revoked_at is not None


def test_staff_who_may_only_look_cannot_act(client: Client) -> None:
    user = User.objects.create_user("looker", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_modulebuild"))
    client.force_login(user)
    build = module_build()
    assert "<b>quiet</b>" in client.get(f"{ADMIN}modulebuild/").content.decode()
    act(client, "modulebuild", "cancel", build)
    assert ModuleBuild.objects.get().state == BuildState.INIT


def test_strangers_are_sent_to_the_login(client: Client) -> None:
    assert client.get(f"{ADMIN}modulebuild/").status_code == 302


def test_nothing_is_edited_by_hand(operator: Client) -> None:
    component = component_build(module_build())
    response = operator.post(f"{ADMIN}componentbuild/{component.pk}/change/", {"package": "other"})
    assert response.status_code == 403
    assert ComponentBuild.objects.get().package == component.package
    assert operator.post(f"{ADMIN}modulebuild/add/", {}).status_code == 403


def test_a_build_and_its_components_link_to_the_page_for_everybody(operator: Client) -> None:
    build = module_build(components=1)
    component = build.component_builds.get()
    for path in (f"modulebuild/{build.pk}", f"componentbuild/{component.pk}"):
        page = operator.get(f"{ADMIN}{path}/change/").content.decode()
        assert f'href="/builds/{build.pk}"' in page


def test_the_page_links_to_the_admin_for_who_may_see_it_there(client: Client) -> None:
    build = module_build()
    link = f'href="{ADMIN}modulebuild/{build.pk}/change/"'

    def linked() -> bool:
        return link in client.get(f"/builds/{build.pk}", headers={"Accept": "text/html"}).content.decode()

    assert not linked()
    staff = User.objects.create_user("staff", is_staff=True)
    client.force_login(staff)
    assert not linked()
    staff.user_permissions.add(Permission.objects.get(codename="view_modulebuild"))
    assert linked()
    assert client.get(f"{ADMIN}modulebuild/{build.pk}/change/").status_code == 200


@pytest.mark.parametrize("session", ["", "made-up", '"\\000aaaaaaaaaaaa"', "\xff" * 40])
def test_a_session_that_cannot_be_one_costs_nothing(
    client: Client, session: str, django_assert_num_queries: Any
) -> None:
    address, headers = f"/builds/{module_build(state=BuildState.READY).pk}", {"Accept": "text/html"}
    with CaptureQueriesContext(connection) as without:
        client.get(address, headers=headers)
    with django_assert_num_queries(len(without)):
        assert client.get(address, headers={**headers, "Cookie": f"sessionid={session}"}).status_code == 200


def test_a_build_is_shown_with_its_state_first_and_its_document_as_it_was_written(operator: Client) -> None:
    build = module_build(modulemd="document: modulemd\ndata:\n  name: <quiet>\n", state=BuildState.FAILED)
    page = operator.get(f"{ADMIN}modulebuild/{build.pk}/change/").content.decode()
    assert "<pre>document: modulemd\ndata:\n  name: &lt;quiet&gt;\n</pre>" in page
    places = [page.index(f"field-{name}") for name in ("state", "components", "runtime_context", "document")]
    assert places == sorted(places)
    assert page.count("&lt;quiet&gt;") == 1


@pytest.mark.parametrize(
    ("state", "phase", "label"),
    [
        (BuildState.INIT, Phase.DONE, "choice of architectures and of components to reuse"),
        (BuildState.WAIT, Phase.DONE, "creation of tags and repository in the build system"),
        (BuildState.BUILD, Phase.BUILDING, "end of the builds of its components"),
        (BuildState.BUILD, Phase.FINALIZING, "recording of the finished module in the build system"),
        (BuildState.READY, Phase.DONE, "-"),
    ],
)
def test_lists_and_pages_show_the_event_that_a_build_waits_for(
    operator: Client, state: BuildState, phase: Phase, label: str
) -> None:
    build = module_build(state=state, phase=phase)
    assert f">{label}</td>" in operator.get(f"{ADMIN}modulebuild/").content.decode()
    assert (
        f"Waits for: {label} "
        in Page(operator.get(f"{ADMIN}modulebuild/{build.pk}/change/").content.decode()).text
    )


def test_long_reasons_are_short_in_lists_and_whole_on_pages(operator: Client) -> None:
    long = "It broke. " * 50
    build = module_build(state=BuildState.FAILED, state_reason=long)
    component = component_build(build, state_reason=long)
    for model, row in (("modulebuild", build), ("componentbuild", component)):
        listed = operator.get(f"{ADMIN}{model}/").content.decode()
        assert f'title="{long}"' in listed
        assert listed.count("It broke.") < 70
        assert long.strip() in operator.get(f"{ADMIN}{model}/{row.pk}/change/").content.decode()


def test_an_operator_subscribes_somebody_and_sees_the_secret_once(operator: Client) -> None:
    form = {"kind": "webhook", "address": "https://hooks.example.com/mbs", "owner": "ann", "active": "on"}
    page = operator.post(f"{ADMIN}subscription/add/", form, follow=True).content.decode()
    row = Subscription.objects.get()
    assert row.secret.startswith("whsec_")
    assert row.secret in page
    assert row.secret not in operator.get(f"{ADMIN}subscription/{row.pk}/change/").content.decode()


@pytest.mark.parametrize(
    ("kind", "address"), [("webhook", "http://10.0.0.1/"), ("webhook", "ann@example.com"), ("mail", "ann")]
)
def test_an_address_that_does_not_fit_is_refused(operator: Client, kind: str, address: str) -> None:
    form = {"kind": kind, "address": address, "active": "on"}
    assert operator.post(f"{ADMIN}subscription/add/", form).status_code == 200
    assert not Subscription.objects.exists()


def test_a_delivery_is_sent_again(operator: Client) -> None:
    subscription = Subscription.objects.create(address="https://hooks.example.com/")
    row = Delivery.objects.create(subscription=subscription, topic="t", body={}, sent_at=timezone.now())
    act(operator, "delivery", "send_again", row)
    row.refresh_from_db()
    assert row.sent_at is None
