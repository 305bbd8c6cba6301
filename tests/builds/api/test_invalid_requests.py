"""Requests of broken or hostile clients are refused with an error that names the fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.builds.rest import ROOT, Api
from tests.factories import module_build

PLAN = "module-builds/plan/"
FORM = "multipart/form-data; boundary=x"


def part(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name, more, value)


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (part(b"branch", b"\xff") + b"--x--", FORM, "'branch' is not UTF-8"),
        (part(b"branch", b"a\0b") + b"--x--", FORM, "'branch' contains a NUL"),
        (part(b"br\0", b"b") + b"--x--", FORM, r"The key 'br\x00' contains a NUL"),
        (part(b"branch", b"b") * 2 + b"--x--", FORM, "'branch' is given twice"),
        (part(b"branch", b"b"), FORM, "closing boundary"),
        (part(b"branch", b"b") + b"--x--", FORM.replace("=x", "=y"), "boundary that Content-Type names"),
        (part(b"branch", b"b") + b"--x--", "multipart/form-data", "Content-Type names no boundary"),
        (
            part(b"branch", b"b") + b"--x--",
            "multipart/form-data; boundary=",
            "Content-Type names no boundary",
        ),
        (
            part(b"yaml", b"!!!", b'; filename="f"\r\nContent-Transfer-Encoding: base64') + b"--x--",
            FORM,
            "The form cannot be read: Could not decode base64 data.",
        ),
        (b"".join(part(b"k%d" % n, b"v") for n in range(1100)) + b"--x--", FORM, "more than 1000"),
        (
            b"".join(part(b"k%d" % n, b"v", b'; filename="f"') for n in range(110)) + b"--x--",
            FORM,
            "more than 100 files",
        ),
        (b'{"owner": %b}' % (b"9" * 101), "", "a number has more than 100 digits"),
        (b'{"a\\u0000": 1}', "", r"The key 'a\x00' contains a NUL"),
        (b'{"a\\ud800": 1}', "", r"The key 'a\ud800' is not valid Unicode"),
    ],
)
def test_the_fault_of_a_body_is_named(api: Api, body: bytes, kind: str, says: str) -> None:
    assert says in api.send("POST", PLAN, body, status=400, content_type=kind)["message"]


def test_a_form_may_hold_any_character_and_name_its_type_in_capitals(api: Api) -> None:
    named = part(b"yaml", "\ufffd \u20ac".encode(), b"; filename*=utf-8''%ff") + b"--x--\r\n"
    assert api.send("POST", PLAN, named, status=422, content_type=FORM)["code"]
    body = part(b"modulemd", "\ufffd \u20ac".encode()) + b"--x--\r\n"
    answer = api.send("POST", PLAN, body, status=422, content_type="Multipart/Form-Data; boundary=x")
    assert answer["message"].startswith("The modulemd is invalid")


def test_no_file_is_as_good_as_null(api: Api) -> None:
    assert api.post(PLAN, {"yaml": None, "modulemd": "x"}, status=422)["code"]


def test_thousands_of_unknown_keys_are_not_listed_one_by_one(api: Api) -> None:
    answer = api.post(PLAN, {f"k{number}": 1 for number in range(5000)}, status=400)
    assert len(answer["problems"]) == 20
    assert "'k0'" in answer["message"]


def test_an_owner_must_have_room_in_the_database(api: Api) -> None:
    answer = api.post(PLAN, {"modulemd": "x", "owner": "o" * 256}, status=400)
    assert answer["message"] == "The value of 'owner' must have at most 255 characters."


@pytest.mark.parametrize("origin", ["http://[evil", "null", "", "http://testserver.evil", "\xff"])
def test_a_page_of_another_site_is_refused_however_it_calls_itself(api: Api, origin: str) -> None:
    build = module_build(owner="anonymous")
    body = json.dumps({"state": "failed"})
    path = f"{ROOT}module-builds/{build.pk}"
    response = api.client.generic("PATCH", path, body, content_type="text/plain", HTTP_ORIGIN=origin)
    assert api.check(response, 403)["code"] == "foreign_origin"
    own = api.client.generic("PATCH", path, body, content_type="", HTTP_ORIGIN="http://testserver")
    assert own.status_code == 200


def test_a_page_of_the_same_host_over_plain_http_is_of_another_site(api: Api) -> None:
    build = module_build(owner="anonymous")
    path = f"{ROOT}module-builds/{build.pk}"
    answer = api.client.patch(path, b"{}", secure=True, HTTP_ORIGIN="http://other.testserver")
    assert answer.json()["code"] == "foreign_origin"
    headers = {"HTTP_ORIGIN": "http://127.0.0.1", "HTTP_HOST": "127.0.0.1"}
    answer = api.client.patch(path, b"{}", secure=True, **headers)
    assert answer.json()["code"] == "foreign_origin"


@pytest.mark.parametrize("path", ["/", "/builds/1", ROOT + "module-builds/", "/nothing", "/health/live"])
def test_a_host_that_is_not_ours_is_named(client: Client, path: str) -> None:
    answer = client.get(path, headers={"Host": "evil.example.com", "Accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_host")


@pytest.mark.parametrize("path", ["/", ROOT + "module-builds/"])
def test_too_many_parameters_are_called_that(api: Api, path: str) -> None:
    query = "&".join(f"p{number}=1" for number in range(1001))
    answer = api.check(api.client.get(f"{path}?{query}"), 400)
    assert answer["message"] == "The request has more than 1000 parameters or keys."


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "FOO"])
@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/results/"])
def test_read_only_resources_refuse_changes(client: Client, path: str, method: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = strict.generic(method, path, headers={"Accept": "application/json"})
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert answer.json()["message"] == f"The method {method} is not allowed for {path}."


@pytest.mark.parametrize(
    ("accept", "kind"), [("application/json", "application/json"), ("text/html", "text/html")]
)
def test_a_form_from_elsewhere_is_refused_in_the_language_of_the_client(
    db: None, accept: str, kind: str
) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer: Any = strict.post("/admin/login/", {"username": "x"}, headers={"Accept": accept})
    assert answer.status_code == 403
    assert answer["Content-Type"].startswith(kind)
    assert "CSRF" in answer.content.decode()


def test_an_address_that_leads_nowhere_is_named(client: Client) -> None:
    answer = client.get("/module-build-service/2/nothing").json()
    assert answer["message"] == "There is no page at the address /module-build-service/2/nothing."


def test_methods_that_are_there_are_named_where_one_is_not(api: Api) -> None:
    answer = api.send("PUT", "module-builds/", b"{}", status=405)
    assert answer["message"] == "The method PUT is not allowed for /module-build-service/2/module-builds/."
    assert answer["hint"] == "Use GET, POST, HEAD, OPTIONS."


@pytest.mark.parametrize("body", [{}, {"scmurl": None}, {"scmurl": ""}])
def test_an_empty_import_names_the_missing_key(
    api: Api, option: Callable[..., None], body: dict[str, Any]
) -> None:
    option(ALLOWED_GROUPS_TO_IMPORT_MODULE=frozenset({"releng"}))
    answer = api.post("import-module/", body, status=400)
    assert (answer["code"], "'scmurl'" in answer["message"]) == ("missing_scmurl", True)
