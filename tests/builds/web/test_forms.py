"""Forms of the pages and of the admin with values that no column stores."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client

from mbs.states import BuildState
from tests.builds.web.browser import BROWSER
from tests.factories import component_build, module_build

pytestmark = pytest.mark.django_db

#: As forms contain them: NUL, bytes that are no UTF-8, a surrogate, and texts that are longer than columns.
VALUES = ["a%00b", "%FF", "%ED%A0%80", "x" * 256, "x" * 5000, "9" * 40]
#: Address -> fields of a form with usual values. Each field gets each of the values.
FORMS: dict[str, dict[str, str]] = {
    "/login": {"username": "ann", "password": "wrong", "next": "/"},
    "/admin/login/": {"username": "ann", "password": "wrong", "next": "/admin/"},
    "/act": {"action": "cancel", "build": "1", "owner": "ann", "confirmed": "1"},
    "/submit": {
        **{"scmurl": "https://src.example.org/m?#1", "branch": "b", "modulemd": "x", "owner": "ann"},
        **{"rebuild_strategy": "all", "scratch": "true", "confirmed": "1"},
    },
    "/searches": {"name": "x", "query": "name=x", "delete": "1"},
    "/logout": {"next": "/"},
    "/admin/auth/user/add/": {
        **{"username": "new", "password1": "open sesame 1", "password2": "open sesame 1"},
        **{"usable_password": "true"},
    },
    "/admin/auth/group/add/": {"name": "new"},
    "/admin/password_change/": {"old_password": "x", "new_password1": "y", "new_password2": "y"},
    "/admin/builds/subscription/add/": {
        **{"owner": "ann", "kind": "webhook", "address": "https://a.example.org/", "filters": "{}"},
        **{"secret": "x", "active": "on"},
    },
    "/admin/builds/wait/": {"action": "wake", "_selected_action": "1", "index": "0"},
    "/admin/builds/sweep/": {"action": "run_now", "_selected_action": "outbox", "confirmed": "1"},
    "/admin/builds/modulebuild/": {
        "action": "cancel",
        "_selected_action": "1",
        "confirmed": "1",
        "reason": "r",
    },
}
#: Addresses that search or filter -> the parameters.
PAGES = {
    "/admin/builds/modulebuild/": [
        "q",
        "state",
        "owner__exact",
        "o",
        "p",
        "all",
        "_popup",
        "_changelist_filters",
    ],
    "/admin/builds/auditentry/": ["q", "action", "via__exact", "o", "time__gte"],
    "/admin/builds/wait/": ["q", "o", "e"],
    "/admin/builds/outboxmessage/": ["q", "topic"],
    "/admin/auth/user/": ["q", "is_staff__exact"],
    "/admin/auth/user/add/": ["username", "_changelist_filters"],
    "/admin/builds/subscription/add/": ["owner", "address", "_popup"],
    "/admin/autocomplete/": ["app_label", "model_name", "field_name", "term"],
    "/admin/login/": ["next"],
    "/login": ["next"],
    "/login/callback": ["state", "code", "error", "error_description"],
    "/submit": ["scmurl", "branch", "owner"],
}


@pytest.fixture
def operator(client: Client, caplog: pytest.LogCaptureFixture) -> Iterator[Client]:
    """A browser in which an operator is logged in; no request may log a traceback."""
    client.raise_request_exception = False
    client.force_login(User.objects.create_superuser("operator", password="open sesame"))
    component_build(module_build(state=BuildState.BUILD), package="lib")
    with caplog.at_level(logging.WARNING):
        yield client
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def send(browser: Client, path: str, fields: dict[str, str]) -> int:
    body = "&".join(f"{name}={value}" for name, value in fields.items())
    answer = browser.post(path, body, content_type="application/x-www-form-urlencoded", headers=BROWSER)
    assert answer.status_code < 500 or answer.status_code == 501, (path, body[:200], answer.content[:500])
    return answer.status_code


@pytest.mark.parametrize(
    ("path", "field"), [(path, field) for path, fields in FORMS.items() for field in fields]
)
def test_no_value_in_a_form_is_a_fault_of_the_service(operator: Client, path: str, field: str) -> None:
    usual = {name: quote(value) for name, value in FORMS[path].items()}
    browser = Client(raise_request_exception=False) if path == "/login" else operator
    for value in VALUES:
        send(browser, path, {**usual, field: value})


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, names in PAGES.items() for name in names])
def test_no_parameter_of_a_page_with_a_form_is_a_fault_of_the_service(
    operator: Client, path: str, name: str
) -> None:
    for value in VALUES:
        answer = operator.get(f"{path}?{name}={value}", headers=BROWSER)
        assert answer.status_code < 500 or answer.status_code == 501, (name, value[:20], answer.content[:500])


@pytest.mark.parametrize("path", ["/login", "/admin/login/"])
def test_a_login_with_a_name_that_no_account_can_have_is_refused_with_the_form(path: str) -> None:
    browser = Client()
    for name in ("x" * 5000, "a\0b", "x" * 256):
        answer = browser.post(path, {"username": name, "password": "wrong"}, headers=BROWSER)
        assert answer.status_code == 200
        assert "password" in answer.content.decode()


def test_a_failed_login_is_counted_whatever_the_browser_sends() -> None:
    browser = Client()
    headers = {**BROWSER, "User-Agent": "x" * 5000, "X": "y"}
    answer = browser.post("/login?" + "a=b&" * 500, {"username": "ann", "password": "wrong"}, headers=headers)
    assert answer.status_code == 200
    assert AccessAttempt.objects.filter(username="ann").exists()
