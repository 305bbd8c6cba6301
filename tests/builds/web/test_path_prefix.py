"""Links on pages contain the path prefix that a front server names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote_plus, urlsplit

import httpx
import pytest
from django.test import Client
from django.test.utils import override_script_prefix

from builds.web import submitting
from mbs.states import BuildState, ComponentState
from tests.builds.services.auth.login_steps import switched_on
from tests.builds.services.auth.oidc_provider import Issuer
from tests.builds.web.browser import BROWSER, Page
from tests.builds.web.component_logs import address, row
from tests.factories import component_build, module_build

pytestmark = pytest.mark.django_db
PREFIX = "/mbs"


@pytest.fixture
def below(client: Client) -> Iterator[Client]:
    client.defaults["SCRIPT_NAME"] = PREFIX
    # The test client does not set it, as the WSGI handler does.
    with override_script_prefix(f"{PREFIX}/"):
        yield client


def links(page: Page) -> list[str]:
    return [
        address
        for tag, name in (("a", "href"), ("form", "action"), ("p", "data-events"), ("p", "data-tail"))
        for address in page.all(tag, name)
        if address.startswith("/")
    ]


def get(client: Client, path: str) -> Page:
    response = client.get(path, headers=BROWSER)
    assert response.status_code == 200, response.content
    return Page(response.content.decode())


@pytest.mark.parametrize("count", [1, 2])
def test_all_links_of_a_confirmation_are_below_the_prefix(below: Client, count: int) -> None:
    numbers = [module_build(state=BuildState.BUILD).pk for _ in range(count)]
    page = get(below, "/act?action=cancel" + "".join(f"&build={number}" for number in numbers))
    assert [link for link in links(page) if not link.startswith(f"{PREFIX}/")] == []


@pytest.mark.parametrize("task_id", [None, 7])
def test_all_links_of_the_page_of_a_log_are_below_the_prefix(
    below: Client, log: Path, task_id: int | None
) -> None:
    log.write_bytes(b"one\n")
    page = get(below, address(row(state=ComponentState.BUILDING, task_id=task_id)))
    assert [link for link in links(page) if not link.startswith(f"{PREFIX}/")] == []


def test_several_submitted_builds_lead_to_the_front_page_below_the_prefix(
    below: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds = [module_build(), module_build()]
    monkeypatch.setattr(submitting, "record", lambda wanted: builds)
    answer = below.post("/submit", {"modulemd": "x", "confirmed": "1"}, headers=BROWSER)
    assert (answer.status_code, answer["Location"]) == (302, f"{PREFIX}/")


def test_a_form_that_needs_a_login_leads_back_below_the_prefix(below: Client, logins: None) -> None:
    answer = below.post("/submit", {"modulemd": "x"}, headers=BROWSER)
    assert (answer.status_code, answer["Location"]) == (302, f"{PREFIX}/login?next=%2Fmbs%2F")


def test_a_login_at_the_provider_stays_below_the_prefix(
    below: Client, option: Callable[..., None], issuer: Issuer, tmp_path: Path
) -> None:
    switched_on("signed", option, issuer, tmp_path)
    option(BASE_URL=f"http://testserver{PREFIX}")
    start = below.get("/searches", headers=BROWSER)["Location"]
    assert start == f"{PREFIX}/login?next=%2Fmbs%2Fsearches"
    page = get(below, start.removeprefix(PREFIX))
    assert [link for link in links(page) if not link.startswith(f"{PREFIX}/")] == []
    begin = next(link for link in links(page) if "/login/provider" in link)
    begun = below.get(begin.removeprefix(PREFIX), headers=BROWSER)
    returned = httpx.get(begun["Location"]).headers["Location"]
    address = f"http://testserver{PREFIX}/login/callback"
    assert returned.startswith(f"{address}?")
    assert urlsplit(address).path.startswith(f"{begun.cookies['mbs_login']['path']}/")
    done = below.get(returned.removeprefix(f"http://testserver{PREFIX}"), headers=BROWSER)
    assert (done.status_code, done["Location"]) == (302, f"{PREFIX}/searches")
    removed = done.cookies["mbs_login"]
    assert (removed.value, removed["path"]) == ("", f"{PREFIX}/login")
    out = below.post("/logout", headers=BROWSER).content.decode()
    assert f"post_logout_redirect_uri={quote_plus(f'http://testserver{PREFIX}/')}" in out


def test_a_failed_login_starts_again_below_the_prefix(
    below: Client, option: Callable[..., None], issuer: Issuer, tmp_path: Path
) -> None:
    switched_on("signed", option, issuer, tmp_path).person = ""
    option(BASE_URL=f"http://testserver{PREFIX}")
    begun = below.get("/login/provider", {"next": "/mbs/queue"}, headers=BROWSER)
    returned = httpx.get(begun["Location"]).headers["Location"]
    failed = below.get(returned.removeprefix(f"http://testserver{PREFIX}"), headers=BROWSER)
    assert f"{PREFIX}/login/provider?next=%2Fmbs%2Fqueue" in links(Page(failed.content.decode()))


@pytest.mark.parametrize("path", ["1", "", "1?verbose=1", "?verbose=1"])
def test_the_log_that_explains_a_failure_is_below_the_prefix_in_answers(below: Client, path: str) -> None:
    page = "/builds/1/lib/log?line=3#L3"
    excerpt = {"log": "build.log", "line": 3, "first_line": 3, "cause": "x", "lines": ["x"], "url": page}
    build = module_build(id=1, state=BuildState.FAILED, error_code="component_failed", error_excerpt=excerpt)
    component_build(build, id=1, excerpt=excerpt, state=ComponentState.FAILED)
    for kind in ("module-builds", "component-builds"):
        answer = below.get(f"/module-build-service/2/{kind}/{path}").json()
        found = answer["items"][0] if "items" in answer else answer
        shown = found["error"]["excerpt"] if kind == "module-builds" else found["excerpt"]
        assert shown == excerpt | {"url": f"{PREFIX}{page}"}
    build.refresh_from_db()
    assert build.error_excerpt == excerpt
