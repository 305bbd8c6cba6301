"""axe-core looks at every page in Chromium and finds nothing; keyboards, phones and printers suffice."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from builds.services.build_system import build_system
from tests.browser import addresses, scene
from tests.browser.addresses import API, Site
from tests.browser.checks import SCREENS, examine, inspect, look, look_at_screen
from tests.processes import ROOT

pytestmark = pytest.mark.django_db(transaction=True)
each_screen = pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: str(screen["color_scheme"]))


@pytest.fixture
def site(settings: Any, tmp_path: Path) -> Iterator[Site]:
    """All pages, with rows for them."""
    changed = {"SYSTEM": "local", "DATA_DIR": tmp_path, "NO_AUTH": True}
    settings.MBS = settings.MBS.model_copy(update=changed)
    build_system.cache_clear()
    yield addresses.site(scene.make(tmp_path))
    build_system.cache_clear()


@pytest.fixture
def page(site: Site, live_server: Any, browser: Browser, request: pytest.FixtureRequest) -> Page:
    """A page of an operator's browser with the screen of the test."""
    given = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    context = browser.new_context(**given.get("screen", SCREENS[0]))
    context.add_cookies([{"name": "sessionid", "value": site.session, "url": live_server.url}])
    return context.new_page()


def report(faults: Iterable[str]) -> None:
    """Fail with all faults, if there are any."""
    found = list(faults)
    assert not found, "\n".join(found)


def test_each_page_of_the_urlconf_is_looked_at(site: Site) -> None:
    assert site.missing() == set()


def test_pages_for_everybody(site: Site, live_server: Any, page: Page) -> None:
    unprinted = ("/docs/", "/results/")
    report(
        fault
        for path in site.pages
        for fault in examine(
            page, live_server.url + path, printed=not any(each in path for each in unprinted)
        )
    )


def test_the_admin(site: Site, live_server: Any, page: Page) -> None:
    report(fault for path in site.admin for fault in examine(page, live_server.url + path, printed=False))


@pytest.mark.parametrize("screen", SCREENS[1:], ids=["dark"])
def test_pages_on_a_dark_phone(site: Site, live_server: Any, page: Page, screen: Any) -> None:
    paths = [path for path in site.pages if not path.endswith("/docs/")] + site.admin
    report(fault for path in paths for fault in look_at_screen(page, live_server.url + path))


@each_screen
def test_the_login_of_the_admin(site: Site, live_server: Any, browser: Browser, screen: Any) -> None:
    report(look(browser.new_page(**screen), f"{live_server.url}/admin/login/"))


@each_screen
def test_confirmations_of_the_admin(site: Site, live_server: Any, page: Page, screen: Any) -> None:
    page.goto(f"{live_server.url}/admin/builds/modulebuild/")
    page.check(".action-select >> nth=0")
    page.select_option("select[name=action]", "cancel")
    page.click("button[name=index]")
    page.wait_for_selector("[name=confirmed]", state="attached")
    report(inspect(page))


@each_screen
def test_forms_that_were_refused(site: Site, live_server: Any, page: Page, screen: Any) -> None:
    page.goto(f"{live_server.url}{API}module-builds/plan/")
    page.fill("[name=srpms]", "[1")
    page.click("main form button[type=submit]")
    page.wait_for_selector("[aria-invalid]")
    found = inspect(page)
    page.goto(f"{live_server.url}/submit")
    page.fill("[name=buildrequire_overrides]", "{")
    page.click("main form button[type=submit]")
    page.wait_for_selector("[role=alert]")
    report(found + inspect(page))


def test_operations_of_the_documentation(site: Site, live_server: Any, page: Page) -> None:
    """On light ground only: on dark ground a filter inverts the colors, which axe-core does not consider."""
    page.goto(f"{live_server.url}{API}docs/")
    page.click("#more button")
    page.wait_for_selector(".opblock-post")
    page.click(".opblock-post >> nth=0")
    page.wait_for_selector(".opblock-body")
    found = inspect(page)
    page.click("button.authorize >> nth=0")
    page.wait_for_selector(".modal-ux-content input")
    report(found + inspect(page))


def test_the_list_of_builds_in_the_admin_fits_into_a_usual_window(
    site: Site, live_server: Any, page: Page
) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{live_server.url}/admin/builds/modulebuild/")
    table, frame = page.locator("#result_list").bounding_box(), page.locator(".results").bounding_box()
    assert table is not None
    assert frame is not None
    assert table["width"] <= frame["width"] + 1


def test_a_build_is_canceled_by_keyboard_alone(site: Site, live_server: Any, page: Page) -> None:
    active = next(path for path in site.pages if path.startswith("/act?action=cancel"))
    page.goto(live_server.url + active)
    page.focus("main button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=canceled")


def test_the_built_documentation(documentation: Path, browser: Browser) -> None:
    """Including the markup of the theme, which docs/conf.py changes."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    found = []
    for path in sorted(documentation.rglob("*.html")):
        page.emulate_media(color_scheme="light")
        page.goto(path.as_uri())
        found += inspect(page)
        page.emulate_media(color_scheme="dark")
        found += inspect(page, {"runOnly": ["color-contrast", "link-in-text-block"]})
    report(found)


@pytest.fixture(scope="session")
def documentation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the documentation as HTML."""
    target = tmp_path_factory.mktemp("docs")
    source = target / "source"
    shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns("generated"))
    (source / "generated").mkdir()
    command = (sys.executable, "-m", "sphinx", "-q", "-b", "html", str(source), str(target / "html"))
    subprocess.run(command, check=True, cwd=ROOT, timeout=300)
    return target / "html"
