"""The addresses of the REST API in a browser: pages and forms."""

from __future__ import annotations

import pytest
from django.test import Client

from builds.models import ModuleBuild
from builds.services.auth import tokens
from mbs.states import BuildState
from tests.builds.rest import Api
from tests.builds.web.browser import Page
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


def test_the_form_comes_empty_with_a_label_for_each_input(browser: Client) -> None:
    page = Page(browser.get(ROOT + "module-builds/", headers=BROWSER).content.decode())
    labels = set(page.all("label", "for"))
    inputs = {values.get("id", "") for tag, values in page.tags if tag in ("input", "textarea", "select")}
    assert {"POST-scmurl", "POST-require_overrides", "POST-scratch"} <= inputs
    assert inputs <= labels
    assert page.all("input", "checked") == []
    assert "null" not in page.html.partition('class="send"')[2].partition("</form>")[0]
    assert page.all("html", "lang") == ["en"]


def test_an_empty_form_is_refused_with_the_missing_values(browser: Client) -> None:
    empty = dict.fromkeys(("scmurl", "modulemd", "require_overrides", "srpms", "owner", "side_tag"), "")
    page = browser.post(ROOT + "module-builds/", empty, headers=BROWSER)
    assert page.status_code == 400
    assert "must be" not in page.content.decode()


def test_a_refused_form_keeps_its_values_and_shows_the_fault_of_each(browser: Client) -> None:
    typed = {
        "scmurl": "https://example.com/<x>?#1",
        "srpms": '["cli-build/1/a.rpm"',
        "modulemd": 'document: "x"',
        "scratch": "true",
        "require_overrides": "",
    }
    response = browser.post(ROOT + "module-builds/", typed, headers=BROWSER)
    assert response.status_code == 400
    page = Page(response.content.decode())
    by_id = {each["id"]: each for tag, each in page.tags if tag in ("input", "textarea") and "id" in each}
    assert by_id["POST-scmurl"]["value"] == typed["scmurl"]
    assert "checked" in by_id["POST-scratch"]
    assert by_id["POST-srpms"]["aria-invalid"] == "true"
    assert "aria-invalid" not in by_id["POST-scmurl"]
    assert typed["srpms"] in page.text
    assert typed["modulemd"] in page.text
    assert "<x>" not in page.html


def test_values_from_another_site_are_not_filled_in(browser: Client) -> None:
    headers = {**BROWSER, "Origin": "https://evil.example.com"}
    page = browser.post(ROOT + "module-builds/", {"scmurl": "https://evil.example.com/m"}, headers=headers)
    assert page.status_code == 403
    assert 'value="https://evil.example.com/m"' not in page.content.decode()


@pytest.mark.parametrize(
    ("path", "button"),
    [
        ("module-builds/{}/retry", "Retry"),
        ("module-builds/{}/rebuild", "Rebuild"),
        ("module-builds/plan/", "Submit"),
        ("import-module/", "Submit"),
    ],
)
def test_addresses_that_take_only_post_are_forms_in_a_browser(
    browser: Client, path: str, button: str
) -> None:
    url = ROOT + path.format(module_build(state=BuildState.FAILED).pk)
    page = browser.get(url, headers=BROWSER)
    assert page.status_code == 200
    assert f'<form action="{url}" method="post"' in page.content.decode()
    assert f'<button type="submit">{button}</button>' in page.content.decode()
    assert browser.get(url).status_code == 405


def test_an_api_token_has_a_page_with_the_form_to_revoke_it(browser: Client) -> None:
    token, _ = tokens.create("anonymous", "script")
    listed = Page(browser.get(f"{ROOT}tokens/", headers=BROWSER).content.decode())
    assert f"{ROOT}tokens/{token.pk}" in listed.all("a", "href")
    page = Page(browser.get(f"{ROOT}tokens/{token.pk}", headers=BROWSER).content.decode())
    assert page.all("form", "data-method") == ["DELETE"]
    assert "Revoke" in page.text
    assert browser.get(f"{ROOT}tokens/{token.pk}").status_code == 405


def test_the_form_to_retry_starts_a_failed_build_again(browser: Client) -> None:
    build = module_build(state=BuildState.FAILED, components=1, owner="anonymous")
    page = browser.post(f"{ROOT}module-builds/{build.pk}/retry", {"owner": ""}, headers=BROWSER)
    assert page.status_code == 200
    build.refresh_from_db()
    assert build.state != BuildState.FAILED


def test_the_form_of_an_item_that_is_not_there_is_404(browser: Client) -> None:
    assert browser.get(ROOT + "module-builds/77/retry", headers=BROWSER).status_code == 404


def test_links_of_an_item_lead_to_pages(browser: Client) -> None:
    module_build(state=BuildState.READY)
    build = module_build(state=BuildState.FAILED, components=1)
    page = Page(browser.get(f"{ROOT}module-builds/{build.pk}", headers=BROWSER).content.decode())
    links = {link for link in page.all("a", "href") if link.startswith(("/", "http://testserver/"))}
    assert f"http://testserver{ROOT}module-builds/{build.pk}/retry" in links
    for link in links:
        assert browser.get(link, headers=BROWSER).status_code in (200, 302), link


@pytest.mark.parametrize("kind", ["module-builds", "component-builds"])
def test_each_listed_build_links_to_its_page_and_its_item(browser: Client, kind: str) -> None:
    build = module_build(components=1)
    number = build.pk if kind == "module-builds" else build.component_builds.get().pk
    for path in (f"{kind}/", f"{kind}/{number}", f"{kind}/?verbose=1"):
        links = Page(browser.get(ROOT + path, headers=BROWSER).content.decode()).all("a", "href")
        assert {f"/builds/{build.pk}", f"{ROOT}{kind}/{number}", "/"} <= set(links)


def test_the_root_names_every_resource_and_each_of_them_is_a_page(browser: Client) -> None:
    resources = browser.get(ROOT).json()
    assert {"tokens", "subscriptions", "import-module", "plan", "module-builds", "docs"} <= resources.keys()
    for name, url in resources.items():
        assert browser.get(url, headers=BROWSER).status_code == 200, name


def test_pages_need_no_styles_or_scripts_in_themselves(browser: Client) -> None:
    response = browser.get(ROOT + "module-builds/", headers=BROWSER)
    assert "unsafe" not in response["Content-Security-Policy"]
    page = Page(response.content.decode())
    assert not [tag for tag, values in page.tags if "style" in values or tag == "style"]
    assert all("src" in values for tag, values in page.tags if tag == "script")


def test_a_version_that_is_not_there_is_a_page(browser: Client) -> None:
    page = browser.get("/module-build-service/3/module-builds/", headers=BROWSER)
    assert page.status_code == 404
    assert page["Content-Type"].startswith("text/html")


def test_empty_values_in_the_form_do_not_filter(browser: Client) -> None:
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

    monkeypatch.setattr("builds.api.serializers.rest.module_relations", broken)
    response = browser.get(ROOT + f"module-builds/{module_build().pk}", headers=BROWSER)
    assert response.status_code == 500
    assert "incident" in response.content.decode()
    assert "secret" not in response.content.decode()
