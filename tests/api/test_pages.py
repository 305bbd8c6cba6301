"""The same addresses in a browser."""

from __future__ import annotations

import pytest
from django.test import Client

from builds.models import ModuleBuild
from mbs.states import BuildState
from tests.api.conftest import Api
from tests.factories import module_build

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
ROOT = "/module-build-service/2/"


@pytest.fixture
def browser(db: None, client: Client) -> Client:
    client.raise_request_exception = False
    return client


@pytest.mark.parametrize(
    "path",
    ["", "about/", "module-builds/", "module-builds/{}", "component-builds/", "module-builds/{}/messages"],
)
def test_a_browser_gets_pages(browser: Client, path: str) -> None:
    number = module_build(components=1).pk
    response = browser.get(ROOT + path.format(number), headers=BROWSER)
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")
    assert "Module Build Service" in response.content.decode()


@pytest.mark.parametrize(
    ("path", "status"),
    [("module-builds/77", 404), ("nothing", 404), ("module-builds/?state=x", 400), ("../../nothing", 404)],
)
def test_errors_are_pages_too(browser: Client, path: str, status: int) -> None:
    response = browser.get(ROOT + path, headers=BROWSER)
    assert response.status_code == status
    assert response["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    "accept",
    [
        *("*/*", "application/json", "text/plain", "", "text/html;q=0", "text/html;q=x"),
        *("text/html;q=0.8, application/json", "text/html, */*"),
        "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
    ],
)
def test_programs_get_json(api: Api, accept: str) -> None:
    api.get("module-builds/", Accept=accept)
    api.get("nothing", status=404, Accept=accept)


@pytest.mark.parametrize(
    "accept",
    ["text/html", "TEXT/HTML; q=0.5", "text/html, application/json;q=0.9", "application/json, text/html"],
)
def test_clients_that_prefer_html_get_pages(browser: Client, accept: str) -> None:
    response = browser.get(ROOT + "module-builds/", headers={"Accept": accept})
    assert response["Content-Type"].startswith("text/html")


def test_the_form_names_an_unknown_parameter(browser: Client) -> None:
    page = browser.get(ROOT + "module-builds/?ownr=ann", headers=BROWSER)
    assert page.status_code == 400
    assert "Did you mean" in page.content.decode()


def test_the_list_has_forms_to_submit_and_to_filter_and_links_to_pages(browser: Client) -> None:
    for _ in range(11):
        module_build()
    page = browser.get(ROOT + "module-builds/", headers=BROWSER).content.decode()
    assert 'name="scmurl"' in page
    assert 'name="virtual_stream"' in page
    assert "page=2&amp;per_page=10" in page


def test_what_is_left_empty_in_the_form_does_not_filter(browser: Client) -> None:
    module_build(name="one")
    module_build(name="two", state=BuildState.READY)
    query = "module-builds/?name=&batch=&state=ready&scmurl=&virtual_stream=&submitted_after="
    page = browser.get(ROOT + query, headers=BROWSER).content.decode()
    assert "two" in page
    assert "&quot;one&quot;" not in page


def test_a_form_that_is_mostly_empty_submits(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = []

    def submit(request):
        requests.append(request)
        return [module_build()]

    monkeypatch.setattr("builds.api.views.modules.submit", submit)
    empty = [
        "branch",
        "modulemd",
        "srpms",
        "require_overrides",
        "rebuild_strategy",
        "owner",
        "reuse_components_from",
    ]
    form = {"scmurl": "u", "csrfmiddlewaretoken": "x"} | dict.fromkeys(empty, "")
    response = browser.post(ROOT + "module-builds/", form, headers=BROWSER)
    assert response.status_code == 201
    assert (requests[0].scmurl, requests[0].owner, requests[0].srpms) == ("u", "anonymous", ())


def test_a_fault_of_ours_is_a_page_without_details(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> ModuleBuild:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("builds.api.serializers.related.around_modules", broken)
    response = browser.get(ROOT + f"module-builds/{module_build().pk}", headers=BROWSER)
    assert response.status_code == 500
    assert "incident" in response.content.decode()
    assert "secret" not in response.content.decode()
