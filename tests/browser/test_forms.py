"""Forms that need JavaScript."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from builds.services.auth import tokens

pytestmark = pytest.mark.django_db(transaction=True)
TOKENS = "/module-build-service/2/tokens/"


@pytest.fixture
def token() -> int:
    """The number of a token of the user of a service without logins."""
    return int(tokens.create("anonymous", "script")[0].pk)


def test_a_token_is_revoked_on_its_page(token: int, live_server: Any, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{live_server.url}{TOKENS}")
    assert "valid" in page.inner_text("main table")
    page.click("main table th a")
    assert page.url == f"{live_server.url}{TOKENS}{token}"
    page.click("text=Revoke >> nth=-1")
    page.wait_for_selector("[role=status]:has-text('Done.')")
    page.goto(f"{live_server.url}{TOKENS}")
    assert "revoked" in page.inner_text("main table")
