"""Pages, logs and logins for tests of pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from django.test import Client

from tests.builds.web import browser
from tests.builds.web.browser import Get
from tests.builds.web.component_logs import open_log


@pytest.fixture
def get(client: Client) -> Get:
    """Get a page, also of an unexpected error."""
    client.raise_request_exception = False
    return partial(browser.get, client)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of the submission 7 of a local build system."""
    return open_log(tmp_path, monkeypatch)


@pytest.fixture
def logins(option: Callable[..., None]) -> None:
    """A service on which people log in, and only packagers build."""
    option(NO_AUTH=False, ALLOWED_GROUPS=frozenset({"packager"}))
