"""The web login in a browser, which applies the rules for cookies and the content security policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from playwright.sync_api import Browser, Page

from builds.models import ModuleBuild
from mbs.states import BuildState
from tests.browser.checks import SCREENS, inspect, look
from tests.builds.services.auth.oidc_provider import AUDIENCE, Issuer
from tests.builds.services.auth.oidc_provider import issuer as running_issuer
from tests.factories import module_build

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def provider(settings: Any, live_server: Any, tmp_path: Path) -> Iterator[Issuer]:
    """The provider of the service, which is another site for the browser."""
    for name in settings.CACHES:
        caches[name].clear()
    with running_issuer() as issuer:
        options = {
            "NO_AUTH": False,
            "OIDC_REQUIRED_SCOPE": "mbs/submit",
            "OIDC_ISSUER": issuer.url,
            "OIDC_AUDIENCE": AUDIENCE,
            "OIDC_CLIENT_SECRETS": issuer.secrets_file(tmp_path),
            "OIDC_WEB_LOGIN": True,
            "BASE_URL": live_server.url,
        }
        settings.MBS = settings.MBS.model_copy(update=options)
        yield issuer


@pytest.fixture
def build(transactional_db: None) -> ModuleBuild:
    """A build of Ann's that can be canceled."""
    return module_build(owner="ann", state=BuildState.BUILD)


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}/login")
    page.click("a.button")
    page.wait_for_url(f"{url}/?mine=1")


def test_a_user_logs_in_acts_and_logs_out(
    build: ModuleBuild, provider: Issuer, live_server: Any, browser: Browser
) -> None:
    page, url, faults = browser.new_page(), live_server.url, []
    page.on("console", lambda message: faults.append(message.text))
    page.goto(f"{url}/act?action=cancel&build={build.pk}")
    page.click("text=Log in at 127.0.0.1")
    page.wait_for_url(f"{url}/act?action=cancel&build={build.pk}")
    page.click("button.sure")
    page.wait_for_url(f"{url}/builds/{build.pk}")
    assert "Canceled by ann." in page.inner_text("main")
    page.goto(f"{url}/?state=failed")
    page.fill("main form input[name=name]", "broken")
    page.click("main form:has(input[name=name]) button")
    page.wait_for_url(f"{url}/?state=failed")
    assert "broken" in page.inner_text("nav[aria-label='Saved searches']")
    page.fill("#search", "@broken")
    page.press("#search", "Enter")
    page.wait_for_url(f"{url}/?state=failed")
    page.click("text=Log out ann")
    page.click("main button")
    assert page.get_attribute("text=Log out at 127.0.0.1 too", "href").startswith(f"{provider.url}/Logout?")
    assert page.inner_text("header nav").endswith("Log in")
    assert faults == []


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: str(screen["color_scheme"]))
def test_pages_of_logins_are_accessible(
    build: ModuleBuild, provider: Issuer, live_server: Any, browser: Browser, screen: Any
) -> None:
    page, url = browser.new_page(**screen), live_server.url
    faults = look(page, f"{url}/login")
    provider.person = ""
    faults += look(page, f"{url}/login/provider")
    provider.person = "ann"
    log_in(page, url)
    page.fill("main form input[name=name]", "mine")
    page.click("main form:has(input[name=name]) button")
    for path in ("/", "/?state=failed", "/searches", "/search", "/no-such-page"):
        faults += look(page, url + path)
        # Nothing is cut off at the right side of a phone.
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    page.goto(f"{url}/logout")
    page.click("main button")
    faults += inspect(page)
    assert not faults, "\n".join(faults)
