"""Addresses of pages with values that no page can show."""

from __future__ import annotations

import pytest
from django.test import Client

from builds.models import SavedSearch
from builds.web import filtering
from tests.builds.web.browser import BROWSER
from tests.factories import component_build, module_build

pytestmark = pytest.mark.django_db

#: Values as addresses contain them: NUL, bytes that are no UTF-8, a surrogate, wildcards, large numbers.
VALUES = [
    *("%00", "a%00b", "%FF", "%ED%A0%80", "%E2%80%AE", "%25%5F%5C", "%5Ca", "*", "?*?*?*", "%27%22%3C"),
    *("9" * 18, "9" * 40, "-1", "1e308", "nan", "%F0%9F%98%80", "x" * 5000, "%0D%0AX:1", "a:b:c:d", "@%00"),
]


@pytest.fixture
def browser(client: Client) -> Client:
    """A client that shows answers with errors of the service."""
    client.raise_request_exception = False
    component_build(module_build(), package="lib")
    return client


def check(browser: Client, address: str) -> None:
    for headers in (BROWSER, {}):
        answer = browser.get(address, headers=headers)
        assert answer.status_code < 500 or answer.status_code == 501, (address, answer.content[:500])


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_no_value_in_an_address_is_a_fault_of_the_service(browser: Client, value: str) -> None:
    number = 1
    for name in sorted(filtering.FILTERS | {"before", "mine"}):
        check(browser, f"/?{name}={value}")
    for path in (
        *(f"/search?q={value}", f"/search?q={value}%3A{value}", f"/queue?build={value}"),
        *(f"/feeds/builds.atom?{name}={value}" for name in ("owner", "name", "stream", "state")),
        *(f"/events?{name}={value}" for name in ("owner", "name", "stream", "kind")),
        *(f"/modules/{value}", f"/modules/{value}/{value}", f"/modules/lib?before={value}"),
        *(f"/builds/{number}/{value}/log?name={value}", f"/builds/{number}/lib/log?q={value}&name={value}"),
        *(f"/builds/{number}/lib/log/events?name={value}", f"/compare/1...1?document={value}&all={value}"),
        *(f"/act?action={value}&build={value}", f"/submit?scmurl={value}", f"/login?next={value}"),
        *(f"/results/{value}", f"/results/../{value}", f"/searches?x={value}", f"/builds/{value}"),
    ):
        check(browser, path)


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_no_id_of_an_event_is_a_fault_of_the_service(browser: Client, value: str) -> None:
    if not value.isascii() or len(value) > 1000:
        return
    for path in ("/events", "/builds/1/lib/log/events", "/module-build-service/2/module-builds/1/events"):
        answer = browser.get(path, headers={"Last-Event-ID": value})
        assert answer.status_code < 500, (path, answer.content[:500])


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_no_saved_search_is_a_fault_of_the_service(
    browser: Client, value: str, django_user_model: type
) -> None:
    browser.force_login(django_user_model.objects.create_user("ann"))  # type: ignore[attr-defined]  # the stubs know no manager
    for form in ({"name": "x", "query": f"name={value}"}, {"name": value, "query": "name=x"}):
        answer = browser.post("/searches", form, headers=BROWSER)
        assert answer.status_code < 500, (form, answer.content[:500])
    for saved in SavedSearch.objects.all():
        check(browser, f"/?{saved.query}")
    check(browser, "/searches")
