"""Submissions as JSON and as forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery import current_app
from django.core.files.uploadedfile import SimpleUploadedFile

from builds.api.views import modules
from builds.services.submission import SubmissionRequest
from mbs.errors import Conflict, Forbidden, NotSupported, Problem, Unavailable, Unprocessable
from tests.builds.rest import Api
from tests.factories import module_build

SCM = {"scmurl": "https://git.example.com/modules/quiet?#abc", "branch": "f30"}


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[SubmissionRequest]:
    """What reached the service that records builds; it answers two."""
    requests: list[SubmissionRequest] = []

    def submit(request: SubmissionRequest) -> list[Any]:
        requests.append(request)
        return [module_build(owner=request.owner), module_build(owner=request.owner)]

    monkeypatch.setattr(modules, "submit", submit)
    return requests


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Have the service refuse everything with an error."""

    def refuse(error: Exception) -> None:
        def submit(request: SubmissionRequest) -> list[Any]:
            raise error

        monkeypatch.setattr(modules, "submit", submit)

    return refuse


def test_version_2_answers_all_builds_in_the_verbose_form(
    api: Api, submitted: list[SubmissionRequest]
) -> None:
    answer = api.post("module-builds/", SCM)
    assert len(answer) == 2
    assert "modulemd" in answer[0]
    assert submitted == [SubmissionRequest(owner="anonymous", **SCM)]


def test_version_1_answers_the_first_build(api: Api, submitted: list[SubmissionRequest]) -> None:
    assert api.post("module-builds", SCM, version=1)["name"] == "quiet"


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "text/plain", "application/x-www-form-urlencoded"]
)
def test_a_body_is_json_whatever_its_type(
    api: Api, submitted: list[SubmissionRequest], content_type: str
) -> None:
    body = b'{"scmurl": "u", "branch": "b", "owner": "ann"}'
    api.send("POST", "module-builds/", body, status=201, content_type=content_type)
    assert submitted == [SubmissionRequest(owner="ann", scmurl="u", branch="b")]


def test_every_key_reaches_the_service(api: Api, submitted: list[SubmissionRequest]) -> None:
    body = {
        "branch": "f30",
        "buildrequire_overrides": {"platform": ["f28"]},
        "require_overrides": {"platform": ["f28", "f29"]},
        "rpm_component_ref_overrides": {"bash": "f28"},
        "modulemd": "document: modulemd",
        "module_name": "n",
        "module_stream": "s",
        "rebuild_strategy": "all",
        "scratch": True,
        "side_tag": "f30-side",
        "srpms": ["cli-build/1/bash.src.rpm"],
        "owner": "ann",
    }
    api.post("module-builds/", {**body, "reuse_components_from": 12})
    assert submitted == [SubmissionRequest(**body, reuse_components_from="12")]


def test_a_file_counts_more_than_the_address_of_the_checkout_it_lies_in(
    api: Api, submitted: list[SubmissionRequest]
) -> None:
    """rpkg sends both."""
    api.post("module-builds/", {**SCM, "modulemd": "x"})
    assert submitted == [SubmissionRequest(owner="anonymous", branch="f30", modulemd="x")]


def test_nothing_is_submitted_while_the_broker_is_away(
    api: Api, submitted: list[SubmissionRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current_app.conf, "broker_write_url", "redis://127.0.0.1:1/0")
    assert api.post("module-builds/", SCM, status=503)["code"] == "broker_unavailable"
    assert not submitted


def test_null_is_as_good_as_absent(api: Api, submitted: list[SubmissionRequest]) -> None:
    """rpkg sends null for the url when it only has a file."""
    api.post("module-builds/", {"scmurl": None, "branch": None, "scratch": None, "modulemd": "x"})
    assert submitted == [SubmissionRequest(owner="anonymous", modulemd="x")]


def test_a_form_may_carry_the_modulemd_as_a_file(api: Api, submitted: list[SubmissionRequest]) -> None:
    response = api.client.post(
        "/module-build-service/2/module-builds/",
        {
            "yaml": SimpleUploadedFile("byfile.yaml", "summary: ä\n".encode()),
            "module_name": "quiet",
            "scratch": "true",
            "buildrequire_overrides": '{"platform": ["f28"]}',
        },
    )
    api.check(response, 201)
    assert submitted == [
        SubmissionRequest(
            owner="anonymous",
            modulemd="summary: ä\n",
            module_name="quiet",
            file_name="byfile",
            scratch=True,
            buildrequire_overrides={"platform": ["f28"]},
        )
    ]


def test_an_unknown_key_is_named(api: Api, submitted: list[SubmissionRequest]) -> None:
    answer = api.post("module-builds/", {**SCM, "colour": "red"}, status=400)
    assert "colour" in answer["message"]
    assert answer["code"] == "unknown_key"
    assert not submitted


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scmurl", 3),
        ("branch", ["f30"]),
        ("modulemd", {}),
        *(("scratch", value) for value in ("perhaps", "yes", "on", "t", "", " true", 2, -1, 1.0, [], {})),
        ("buildrequire_overrides", {"platform": "f28"}),
        ("require_overrides", ["platform"]),
        ("rpm_component_ref_overrides", {"bash": 1}),
        ("srpms", "bash.src.rpm"),
        ("reuse_components_from", True),
        ("reuse_components_from", 1.5),
        ("owner", 7),
        ("yaml", "text"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(
    api: Api, submitted: list[SubmissionRequest], key: str, value: Any
) -> None:
    answer = api.post("module-builds/", {**SCM, key: value}, status=400)
    assert [problem["key"] for problem in answer["problems"]] == [key]
    assert not submitted


@pytest.mark.parametrize(
    ("yes", "no"), [(True, False), (1, 0), ("1", "0"), ("true", "false"), ("True", "False")]
)
def test_truth_may_be_written_as_for_the_reference(
    api: Api, submitted: list[SubmissionRequest], yes: Any, no: Any
) -> None:
    for value in (yes, no):
        api.post("module-builds/", {**SCM, "scratch": value})
    assert [request.scratch for request in submitted] == [True, False]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"branch": "f1", "branch": "f2"}', "'branch' is given twice"),
        (b'{"branch": {"a": 1, "a": 2}}', "'a' is given twice"),
        (b'{"branch": "\xff"}', "not UTF-8"),
        (b'{"branch": "a\\u0000b"}', "NUL"),
        (b'{"srpms": ["a\\u0000b"]}', "NUL"),
        (b'{"branch": "\\ud800"}', "Unicode"),
        (b'{"branch": NaN}', "NaN"),
        (b'{"branch": %s}' % (b"[" * 10_000 + b"]" * 10_000), "nested"),
        (b'{"branch": %s}' % (b"[" * 20 + b"]" * 20), "nested"),
        (b'{"branch": %s}' % (b"1" * 10_000), "not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_body_is_refused(
    api: Api, submitted: list[SubmissionRequest], body: bytes, says: str
) -> None:
    assert says in api.send("POST", "module-builds/", body, status=400)["message"]
    assert not submitted


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_broken_form_is_refused(api: Api, submitted: list[SubmissionRequest], content_type: str) -> None:
    api.send(
        "POST",
        "module-builds/",
        b'--x\r\nContent-Disposition: form-data; name="branch"\r\n\r\nf3',
        status=400,
        content_type=content_type,
    )
    assert not submitted


def test_a_body_that_is_too_large_is_not_read(api: Api, option: Callable[..., None]) -> None:
    option(BODY_LIMIT=100)
    answer = api.send("POST", "module-builds/", b" " * 101, status=413)
    assert answer["code"] == "body_too_large"


def test_a_body_without_a_length_is_refused(api: Api) -> None:
    url = "/module-build-service/2/module-builds/"
    api.check(api.client.generic("POST", url, b"{}", headers={"Transfer-Encoding": "chunked"}), 411)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Forbidden("not there", code="scmurl_not_allowed"), 403),
        (Conflict("it exists"), 409),
        (Unprocessable("bad"), 422),
        (NotSupported("not here"), 501),
        (Unavailable("away"), 503),
    ],
)
def test_a_refusal_has_its_status(
    api: Api, refusing: Callable[[Exception], None], error: Exception, status: int
) -> None:
    refusing(error)
    api.post("module-builds/", SCM, status=status)


def test_all_problems_are_in_the_answer(api: Api, refusing: Callable[[Exception], None]) -> None:
    problem = Problem("ref_unknown", "There is no ref x.", component="bash", hint="Push it.")
    refusing(Unprocessable("Two components cannot be had.", problems=[problem]))
    assert api.post("module-builds/", SCM, status=422)["problems"] == [
        {"code": "ref_unknown", "message": "There is no ref x.", "component": "bash", "hint": "Push it."}
    ]


def test_a_fault_of_ours_is_an_incident_without_details(
    api: Api, refusing: Callable[[Exception], None], caplog: pytest.LogCaptureFixture
) -> None:
    refusing(ZeroDivisionError("secret"))
    answer = api.post("module-builds/", SCM, status=500)
    assert "secret" not in str(answer)
    incident = answer["message"].split()[-1].rstrip(".")
    assert any(incident in record.getMessage() and record.exc_info for record in caplog.records)


def test_only_a_server_without_logins_lets_a_body_name_the_owner(
    api: Api, option: Callable[..., None], submitted: list[SubmissionRequest]
) -> None:
    option(NO_AUTH=False)
    response = api.client.post("/module-build-service/2/module-builds/", SCM, content_type="application/json")
    api.check(response, 401)
    assert response["WWW-Authenticate"] == "Bearer"
    assert not submitted


def test_a_page_of_another_site_cannot_submit(api: Api, submitted: list[SubmissionRequest]) -> None:
    response = api.client.generic(
        "POST",
        "/module-build-service/2/module-builds/",
        b"{}",
        content_type="text/plain",
        headers={"Origin": "https://elsewhere.example"},
    )
    assert api.check(response, 403)["code"] == "foreign_origin"
    assert not submitted


def test_methods_that_are_not_there_are_405(api: Api) -> None:
    build = module_build()
    for method, path in [
        ("DELETE", f"module-builds/{build.pk}"),
        ("POST", "about/"),
        ("PUT", "module-builds/"),
    ]:
        response = api.client.generic(method, f"/module-build-service/2/{path}")
        assert api.check(response, 405)["code"] == "method_not_allowed"
        assert "GET" in response["Allow"]
