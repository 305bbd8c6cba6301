"""Accessibility of every page: axe-core in Chromium finds no critical or serious fault."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, Page

from builds.models import LogMessage, OutboxMessage, Sweep
from builds.services.auth import tokens
from mbs.states import BuildState, ComponentState
from tests.factories import base_module, component_build, module_build, wait

API = "/module-build-service/2/"
#: A desk and a phone. The policy of some pages forbids all scripts, axe-core included.
SCREENS: tuple[dict[str, Any], ...] = (
    {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}, "bypass_csp": True},
    {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "bypass_csp": True},
)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paths(settings: Any, tmp_path: Path) -> list[str]:
    """Addresses of all kinds of pages, with rows for them."""
    settings.MBS = settings.MBS.model_copy(update={"SYSTEM": "local", "DATA_DIR": tmp_path})
    (tmp_path / "local" / "tasks").mkdir(parents=True)
    (tmp_path / "local" / "tasks" / "build.log").write_text("it was built\n")
    platform = base_module("el9", virtual_streams=("el9",))
    ready = module_build(state=BuildState.READY, components=3, requires=platform, time_completed=_now())
    failed = module_build(
        state=BuildState.FAILED, state_reason="It broke.", error_code="x", error_hint="Repair it."
    )
    component_build(failed, package="bad", state=ComponentState.FAILED, state_reason="Exit status 1")
    component_build(failed, package="stopped", state=ComponentState.CANCELED, state_reason="Canceled")
    start = _now() - timedelta(minutes=10)
    active = module_build(
        state=BuildState.BUILD, time_submitted=start, batch=2, batches=3, scratch=True, arch_names=["x86_64"]
    )
    component_build(active, package="first", state=ComponentState.BUILDING, time_started=start, batch=2)
    component_build(active, package="done", state=ComponentState.COMPLETE, time_started=start, nvr="done-1-1")
    component_build(active, package="second", batch=3)
    wait(active)
    for build in (ready, failed, active):
        LogMessage.objects.create(module_build=build, message="Something was said.", time_created=start)
    number, component = ready.pk, ready.component_builds.first().pk
    builds = [f"/builds/{each.pk}" for each in (ready, failed, active)]
    items = [f"module-builds/{number}", f"module-builds/{failed.pk}/retry", f"module-builds/{number}/rebuild"]
    number_of_token = tokens.create("anonymous", "script")[0].pk
    lists = [
        f"tokens/{number_of_token}",
        "module-builds/",
        "module-builds/?state=failed&per_page=1",
        "component-builds/",
        "tokens/",
    ]
    others = [
        *(
            f"component-builds/{component}?verbose=1",
            f"module-builds/{number}/messages",
            "module-builds/plan/",
        ),
        *("import-module/", "about/", "rebuild-strategies/", f"final-modulemd/{number}", "docs/", "nothing"),
        *("module-builds/?state=nonsense", "module-builds/?ownr=ann", "module-builds/77777"),
    ]
    results = ["/results/", "/results/tasks/", "/results/nothing"]
    front = ["/", "/?state=active&owner=ann", "/?state=garbage", "/nothing", "/?before=2"]
    return [
        *front,
        *builds,
        "/builds/77777",
        *results,
        *(API + each for each in ("", *items, *lists, *others)),
    ]


@pytest.fixture
def operator(paths: list[str]) -> tuple[str, list[str]]:
    """The session of an operator, and addresses of the admin, with a row of every kind that it shows."""
    user = User.objects.create_superuser("op", "op@example.com", "open sesame")
    tokens.create("ann", "script")
    Group.objects.create(name="operators")
    build = LogMessage.objects.first().module_build
    OutboxMessage.objects.create(module_build=build, topic="module.state.change", body={})
    Sweep.objects.create(name="outbox", started_at=_now(), result={"published": 1})
    LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get_for_model(build),
        object_id=str(build.pk),
        object_repr=str(build),
        action_flag=CHANGE,
        change_message="Canceled",
    )
    Client().post("/admin/login/", {"username": "op", "password": "wrong"}, REMOTE_ADDR="192.0.2.1")
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value, list(admin_paths(client))


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: str(screen["color_scheme"]))
def test_pages_for_everybody(paths: list[str], live_server: Any, browser: Browser, screen: Any) -> None:
    page = browser.new_page(**screen)
    faults = [fault for path in paths for fault in look(page, live_server.url + path)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: str(screen["color_scheme"]))
def test_forms_that_were_refused(paths: list[str], live_server: Any, browser: Browser, screen: Any) -> None:
    page = browser.new_page(**screen)
    page.goto(f"{live_server.url}{API}module-builds/plan/")
    page.fill("[name=srpms]", "[1")
    page.click("main form button[type=submit]")
    page.wait_for_selector("[aria-invalid]")
    faults = inspect(page)
    assert not faults, "\n".join(faults)


def test_operations_of_the_documentation(paths: list[str], live_server: Any, browser: Browser) -> None:
    """On light ground only: on dark ground a filter inverts the colors, which axe-core does not consider."""
    page = browser.new_page(**SCREENS[0])
    page.goto(f"{live_server.url}{API}docs/")
    page.click("#more button")
    page.wait_for_selector(".opblock-post")
    page.click(".opblock-post >> nth=0")
    page.wait_for_selector(".opblock-body")
    page.click("button.authorize >> nth=0")
    page.wait_for_selector(".modal-ux-content input")
    faults = inspect(page)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: str(screen["color_scheme"]))
def test_the_admin(operator: tuple[str, list[str]], live_server: Any, browser: Browser, screen: Any) -> None:
    session, pages = operator
    context = browser.new_context(**screen)
    page = context.new_page()
    faults = look(page, f"{live_server.url}/admin/login/")
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    for path in pages:
        faults += look(page, live_server.url + path)
    assert not faults, "\n".join(faults)


def admin_paths(client: Client) -> Iterator[str]:
    """Yield the addresses of the admin: for each model its list, and the pages of its first row."""
    yield reverse("admin:index")
    yield reverse("admin:password_change")
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        row = model._default_manager.first()
        if row is None:
            continue
        pages = [reverse(f"{name}_add")]
        pages += [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history", "delete")]
        yield from (each for each in pages if client.get(each).status_code == 200)


def look(page: Page, address: str) -> list[str]:
    """Open a page and return what axe-core finds in it."""
    answer = page.goto(address)
    assert answer is not None
    assert answer.headers["content-type"].startswith("text/html"), address
    for folded in page.query_selector_all("details:not([open]) > summary"):
        folded.click()
    return inspect(page)


def inspect(page: Page) -> list[str]:
    """Return what axe-core finds in a page that is open."""
    found = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {fault['id']} ({fault['impact']}): {node['html'][:200]} {node['failureSummary']}"
        for fault in found
        if fault["impact"] in ("critical", "serious")
        for node in fault["nodes"]
    ]


def _now() -> datetime:
    return datetime.now(UTC)
