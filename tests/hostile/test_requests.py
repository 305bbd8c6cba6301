"""No value of a field in a request causes an internal error (5xx)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DataError
from django.test import Client, RequestFactory

from builds.api import serializers
from builds.api.json_input import read_object
from builds.api.serving.wsgi import environ
from builds.api.views.tokens import NewTokenSerializer
from builds.services.auth import Identity
from mbs.errors import InvalidInput
from tests.builds.conftest import Forge, document
from tests.builds.rest import ROOT, Api
from tests.factories import module_build

#: Texts as JSON writes them: what Python's json would escape otherwise is sent as it is.
SURROGATE, NUL = '"\\ud800"', '"a\\u0000b"'
LONG = json.dumps("x" * 100_000)
DEEP = "[" * 5000 + "]" * 5000
VALUES = [
    *(SURROGATE, NUL, LONG, DEEP, '"\\udfff\\ud800"', '"\\u0085\\u2028"', '"%(id)"', '" "', '"\\n"', '""'),
    *(
        "0",
        "-1",
        "1e400",
        "1.5",
        "1" + "0" * 99,
        "1" + "0" * 200,
        "true",
        "null",
        "NaN",
        "[]",
        "{}",
        "[null]",
    ),
    *(
        f"[{SURROGATE}]",
        f"[{NUL}]",
        f"[{LONG}]",
        f'{{"a": [{SURROGATE}]}}',
        f'{{{NUL}: ["b"]}}',
        '{"a": {"b": []}}',
    ),
    *(
        f'{{"a": {NUL}}}',
        f'{{{SURROGATE}: "b"}}',
        f'{{"alpha": {LONG}}}',
        f'{{"platform": [{LONG}]}}',
        '{"": [""]}',
    ),
]
TEXT = document({"alpha": ""}, more="  name: tiny\n  stream: '1'\n")
Bodies = dict[str, str]


def _fields(serializer: type[serializers.StrictSerializer]) -> list[str]:
    return sorted(serializer().fields)


@pytest.fixture
def endpoints(
    forge: Forge, option: Callable[..., None], sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> dict[str, tuple[str, str, Bodies, Any]]:
    """Name -> method, path, the valid part of its body, and what reads the body."""
    # Without logins nobody needs a token.
    monkeypatch.setattr("builds.api.views.tokens.require_person", lambda _: Identity("ann", frozenset()))
    option(ALLOWED_GROUPS_TO_IMPORT_MODULE=frozenset({"releng"}), REBUILD_STRATEGY_ALLOW_OVERRIDE=True)
    scm = {"scmurl": json.dumps(forge.module("tiny", document({"alpha": ""}))), "branch": '"1"'}
    yaml = {"modulemd": json.dumps(TEXT), "scratch": "true"}
    build = module_build(owner="anonymous")
    one = f"module-builds/{build.pk}"
    return {
        "submit": ("POST", "module-builds/", yaml, serializers.SubmissionSerializer),
        "submit scm": ("POST", "module-builds/", scm, serializers.SubmissionSerializer),
        "plan": ("POST", "module-builds/plan/", yaml, serializers.SubmissionSerializer),
        "import": ("POST", "import-module/", {}, serializers.ImportSerializer),
        "cancel": ("PATCH", one, {}, serializers.ChangeSerializer),
        "retry": ("POST", f"{one}/retry", {}, serializers.OwnerSerializer),
        "rebuild": ("POST", f"{one}/rebuild", {}, serializers.RebuildSerializer),
        "token": ("POST", "tokens/", {"name": '"n"', "scopes": '["submit"]'}, NewTokenSerializer),
    }


NAMES = ["submit", "submit scm", "plan", "import", "cancel", "retry", "rebuild", "token"]


def _bodies(valid: Bodies, fields: list[str]) -> Iterator[tuple[str, str, bytes]]:
    """Field, value, and a body in which the field has the value."""
    for field in fields:
        for value in VALUES:
            parts = {**valid, field: value}
            yield field, value, ("{" + ", ".join(f'"{k}": {v}' for k, v in parts.items()) + "}").encode()


@pytest.mark.parametrize("name", NAMES)
def test_no_value_of_a_field_is_a_fault_of_the_service(
    api: Api, endpoints: dict[str, tuple[str, str, Bodies, Any]], name: str
) -> None:
    method, path, valid, serializer = endpoints[name]
    fields = _fields(serializer)
    if name == "submit scm":
        fields = ["scmurl", "branch", "rpm_component_ref_overrides"]
    elif name == "plan":
        # Its fields are those of a submission, and read by the same code.
        fields = ["modulemd", "module_stream", "require_overrides"]
    for field, value, body in _bodies(valid, fields):
        answer = api.client.generic(method, ROOT + path, body, content_type="")
        assert answer.status_code < 500 or answer.status_code in (501, 503), (
            field,
            value[:60],
            answer.content,
        )
        if SURROGATE in value or NUL in value:
            error = answer.json()
            assert answer.status_code == 400, (field, value, error)
            assert error["problems"][0]["key"] == field, error


@pytest.mark.parametrize(
    "field", ["buildrequire_overrides", "require_overrides", "rpm_component_ref_overrides", "srpms"]
)
def test_json_inside_of_a_form_is_held_to_the_same(
    api: Api, forge: Forge, sent: list[int], field: str
) -> None:
    for value in (each for each in VALUES if each[0] in '[{"' and each != DEEP):
        form = {"yaml": SimpleUploadedFile("tiny.yaml", TEXT.encode()), "scratch": "true", field: value}
        answer = api.client.post(ROOT + "module-builds/", form)
        assert answer.status_code < 500 or answer.status_code == 501, (value, answer.content)
        if SURROGATE in value or NUL in value:
            assert answer.status_code == 400
            assert answer.json()["problems"][0]["key"] == field


@pytest.mark.parametrize(
    "value", ['["a\\u0000"]', '["\\ud800"]', "[" * 5000, "[1e400]", "[" + "1" * 200 + "]"]
)
def test_json_in_a_parameter_is_held_to_the_same(api: Api, value: str) -> None:
    answer = api.client.get(ROOT + "module-builds/", {"srpms": value})
    assert api.check(answer, 400)["problems"][0]["key"] == "srpms"


@pytest.mark.parametrize(
    "value",
    [
        "9" * 18,
        "9" * 40,
        "-1",
        "1e308",
        "nan",
        "inf",
        "x" * 10_000,
        "\u0085",
        "a:b:c:d",
        "%",
        "1,2",
        "\U0001f600",
    ],
)
@pytest.mark.parametrize("path", ["module-builds/", "component-builds/"])
def test_no_value_of_a_parameter_is_a_fault_of_the_service(api: Api, path: str, value: str) -> None:
    from builds.api import filtersets

    kind = filtersets.ModuleBuildFilterSet if path[0] == "m" else filtersets.ComponentBuildFilterSet
    for name in [*kind.names(), "page", "per_page", "order_by", "verbose"]:
        answer = api.client.get(ROOT + path, {name: value})
        assert answer.status_code < 500 or answer.status_code == 501, (name, answer.content)


def passed_on(content_type: str) -> str:
    """The ``Content-Type`` of a request as the web server passes it to Django."""
    scope = {"method": "POST", "path": "/", "query_string": b"", "http_version": "1.1", "body": BytesIO()}
    scope["headers"] = [(b"content-type", content_type.encode())]
    return str(environ(scope)["CONTENT_TYPE"])


@pytest.mark.parametrize(
    "parameter",
    ["charset=hex", "charset=undefined", "charset=punycode", "charset=utf-7", "charset=latin-1", "x*=no''y"],
)
@pytest.mark.parametrize("path", ["/login", "/admin/login/", "/submit", "/act", f"{ROOT}module-builds/"])
@pytest.mark.django_db
def test_no_charset_in_a_content_type_is_a_fault_of_the_service(
    client: Client, path: str, parameter: str
) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="username"\r\n\r\n\xc3\xa9\r\n--b--\r\n'
    for method, body in (("GET", b""), ("POST", form)):
        kind = passed_on(f"multipart/form-data; boundary=b; {parameter}")
        assert client.generic(method, f"{path}?name=1", body, CONTENT_TYPE=kind).status_code < 500


@pytest.mark.django_db
def test_too_many_parameters_beside_a_charset_are_refused_like_without_one(client: Client) -> None:
    for kind in ("text/plain", "text/plain; charset=utf-8"):
        answer = client.generic("GET", f"/?{'&'.join(['q=1'] * 1001)}", CONTENT_TYPE=passed_on(kind))
        assert answer.status_code == 400
        assert answer["X-Request-ID"]


@pytest.mark.parametrize("charset", ["utf-7", "utf-8", "latin-1"])
@pytest.mark.django_db
def test_a_query_is_utf_8_whatever_the_charset_of_the_body(client: Client, charset: str) -> None:
    """In UTF-7, ``+AHI-`` is the letter r."""
    kind = passed_on(f"text/plain; charset={charset}")
    page = client.generic("GET", "/search?q=%C3%A9+AHI-z", CONTENT_TYPE=kind, HTTP_ACCEPT="text/html")
    assert 'value="é AHI-z"' in page.content.decode()


@pytest.mark.parametrize("boundary", ["b", '"a b"', '"b;charset=hex"', r'"\\"', "b; boundary=c"])
def test_a_form_keeps_its_boundary(boundary: str) -> None:
    kind = f"multipart/form-data; charset=utf-7; boundary={boundary}"
    request = RequestFactory().generic("POST", "/", CONTENT_TYPE=passed_on(kind))
    expected = RequestFactory().generic("POST", "/", CONTENT_TYPE=kind)
    assert request.content_params == {"boundary": expected.content_params["boundary"]}


def test_a_body_of_ten_megabytes_is_answered(api: Api, forge: Forge, sent: list[int]) -> None:
    for body in (
        {"modulemd": "x" * 10_000_000},
        {"modulemd": TEXT, "module_name": "x" * 9_000_000},
        {"modulemd": TEXT, "srpms": ["x"] * 2_000_000},
    ):
        answer = api.client.generic("POST", ROOT + "module-builds/", json.dumps(body).encode())
        assert 400 <= answer.status_code < 500, answer.content[:500]


def test_many_overrides_are_refused_at_once(api: Api, forge: Forge, sent: list[int]) -> None:
    for overrides in ({"platform": [f"f{n}" for n in range(100_000)]}, {f"m{n}": [] for n in range(100_000)}):
        body = {"modulemd": TEXT, "scratch": True, "buildrequire_overrides": overrides}
        answer = api.post("module-builds/", body, status=400)
        assert answer["problems"][0]["key"] == "buildrequire_overrides"
        assert len(json.dumps(answer)) < 20_000


def test_a_doubled_key_is_found_without_comparing_all() -> None:
    body = "{" + "".join(f'"k{number}": 1, ' for number in range(200_000)) + '"k199999": 1}'
    began = time.process_time()
    with pytest.raises(InvalidInput, match="k199999"):
        read_object(body.encode())
    # Comparing each with each takes minutes.
    assert time.process_time() - began < 20


def test_values_that_the_database_refuses_are_errors_of_the_client(
    api: Api, forge: Forge, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise DataError("value too long for type character varying(255)")

    monkeypatch.setattr("builds.services.submission.record", refuse)
    answer = api.post("module-builds/", {"modulemd": TEXT, "scratch": True}, status=400)
    assert answer["code"] == "not_storable"
