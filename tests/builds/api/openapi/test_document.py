"""The OpenAPI document is valid, and the service answers as it describes."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, settings

from builds.api.openapi.examples import EXAMPLES
from builds.api.openapi.generator import _document, document
from builds.encoding import plain
from builds.models import ComponentBuild, FinalModulemd, LogMessage, ModuleBuild
from builds.shapes.lists import AnyModuleBuild
from config.wsgi import application
from mbs.states import BuildState
from tests.builds.api.openapi.closed_document import closed
from tests.builds.rest import Api
from tests.factories import base_module, component_build, module_build, wait

pytestmark = pytest.mark.django_db

CONFIG = schemathesis.Config.from_dict(
    {
        "generation": {"max-examples": 3},
        "checks": {
            "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "501"]},
            "positive_data_acceptance": {"enabled": False},
        },
    }
)
SCHEMA = schemathesis.openapi.from_dict(closed(document("2")), config=CONFIG)
SCHEMA.app = application


@pytest.fixture
def _own_connection() -> Iterator[None]:
    """Requests end without closing the connection that holds the test's transaction."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def builds() -> list[ModuleBuild]:
    """Builds in several states, with all that belongs to builds."""
    platform = base_module("f43", koji_tag="module-f43", virtual_streams=("fedora",))
    active = module_build(components=3, requires=platform, state=BuildState.BUILD)
    failed = module_build(state=BuildState.FAILED, state_reason="it broke", error_code="e", error_hint="h")
    ready = module_build(components=2, requires=platform, state=BuildState.READY)
    FinalModulemd.objects.create(module_build=ready, arch="x86_64", document="document: modulemd")
    reused = component_build(failed, reuse_code="same", reuse_detail="d", weight=1.5, task_url="https://k/1")
    wait(active)
    wait(active, component_build=active.component_builds.first())
    for build in (active, failed, ready):
        LogMessage.objects.create(module_build=build, message="m")
        LogMessage.objects.create(component_build=build.component_builds.first() or reused, message="m")
    return [active, failed, ready, platform]


@SCHEMA.parametrize()
@pytest.mark.usefixtures("_own_connection", "redis_url")
@settings(suppress_health_check=[*HealthCheck], deadline=None, derandomize=True, database=None)
def test_every_operation_answers_as_described(case: Any, builds: list[ModuleBuild]) -> None:
    number = case.path_parameters.get("id")
    if isinstance(number, int) and number > 0:
        # Most numbers name nothing: four of five shall name a build, or a component of one.
        rows = [*ComponentBuild.objects.all()] if "component-builds" in case.path else builds
        case.path_parameters["id"] = [*(row.pk for row in rows), number][number % (len(rows) + 1)]
    case.call_and_validate()


OPERATIONS = [
    (path, method, operation)
    for path, methods in SCHEMA.raw_schema["paths"].items()
    for method, operation in methods.items()
]


def examples(content: dict[str, Any]) -> dict[str, Any]:
    """The examples of a body or an answer, by name."""
    return {name: item["value"] for name, item in content.get("examples", {}).items()}


def resolved(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the description of an answer, which may lie among the components."""
    _, found, name = answer.get("$ref", "//").rpartition("/responses/")
    return SCHEMA.raw_schema["components"]["responses"][name] if found else answer


def is_valid(value: Any, shape: dict[str, Any]) -> bool:
    """Whether a value has a shape, which may name others."""
    schemas = {"components": SCHEMA.raw_schema["components"]}
    return jsonschema.Draft202012Validator({**shape, **schemas}).is_valid(value)


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_document_is_valid_and_describes_every_operation(
    version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _document.cache_clear()
    validate_schema(document(version))
    # drf-spectacular tells there what it cannot describe; so does our own part.
    assert capsys.readouterr().err == ""


def test_every_parameter_is_described() -> None:
    undescribed = [
        (path, parameter["name"])
        for path, _, operation in OPERATIONS
        for parameter in operation.get("parameters", ())
        if not parameter.get("description")
    ]
    assert undescribed == []


def test_versions_differ_in_what_a_submission_answers() -> None:
    def answer(version: str) -> dict[str, Any]:
        operation = document(version)["paths"][f"/module-build-service/{version}/module-builds/"]["post"]
        return operation["responses"]["201"]["content"]["application/json"]["schema"]

    assert answer("1") == {"$ref": "#/components/schemas/ModuleBuildVerbose"}
    assert answer("2")["type"] == "array"


def test_answers_in_examples_are_as_described() -> None:
    shown = [
        (value, content["schema"])
        for _, _, operation in OPERATIONS
        for answer in map(resolved, operation["responses"].values())
        for content in answer.get("content", {}).values()
        for value in examples(content).values()
    ]
    assert len(shown) > 20
    assert [value for value, shape in shown if not is_valid(value, shape)] == []


def test_answers_may_gain_keys_and_lose_none() -> None:
    schemas = {"components": document("2")["components"]}
    shape = {"$ref": "#/components/schemas/ModuleBuild", **schemas}
    published = jsonschema.Draft202012Validator(shape)
    module = plain(EXAMPLES[AnyModuleBuild]["default"])
    assert published.is_valid(module)
    assert published.is_valid({**module, "more": 1})
    assert not published.is_valid({key: value for key, value in module.items() if key != "owner"})


def test_lists_have_named_shapes() -> None:
    shapes = {
        operation["operationId"]: content["schema"].get("$ref", "")
        for _, _, operation in OPERATIONS
        if operation["operationId"].startswith("list_")
        for content in operation["responses"]["200"]["content"].values()
    }
    assert len(shapes) == 7
    assert [name for name, shape in shapes.items() if not shape] == []


def test_all_answers_with_builds_have_examples() -> None:
    without = [
        (path, method)
        for path, method, operation in OPERATIONS
        for answer in operation["responses"].values()
        for content in answer.get("content", {}).values()
        if "/ModuleBuild" in json.dumps(content["schema"]) and not examples(content)
    ]
    assert without == []


def test_all_streams_describe_the_refusal_of_too_many_clients() -> None:
    streams = [
        operation["responses"]
        for _, _, operation in OPERATIONS
        if "text/event-stream" in operation["responses"].get("200", {}).get("content", {})
    ]
    assert len(streams) == 3
    assert all("429" in answers for answers in streams)


def test_errors_are_described_once() -> None:
    described = document("2")
    operation = described["paths"]["/module-build-service/2/module-builds/"]["post"]
    assert operation["responses"]["422"] == {"$ref": "#/components/responses/422"}
    assert described["components"]["responses"]["422"]["description"].startswith("The modulemd is invalid")


@pytest.mark.parametrize(
    ("path", "method", "name", "body"),
    [
        (path, method, name, body)
        for path, method, operation in OPERATIONS
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for name, body in examples(content).items()
    ],
)
@pytest.mark.usefixtures("redis_url")
def test_bodies_in_examples_are_understood(
    api: Api, path: str, method: str, name: str, body: Any, builds: list[ModuleBuild]
) -> None:
    number = builds[0 if method == "patch" else 1].pk
    content = json.dumps({**body, "owner": "ann"} if "{id}" in path else body)
    answer = api.client.generic(method.upper(), path.replace("{id}", str(number)), content)
    # They are understood, and refused for what they name: a repository of nobody, a build without a commit.
    # Nobody may import or needs a token in this section.
    refused = {"scmurl_not_allowed", "no_commit", "import_not_allowed", "no_logins"}
    assert answer.status_code in (200, 201) or answer.json()["code"] in refused, answer.content


def test_two_who_ask_first_do_not_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    making: list[str] = []

    def make(self: object, **_: object) -> dict[str, Any]:
        making.append("begun")
        time.sleep(0.05)  # time enough for the others to begin
        making.append("ended")
        return {}

    _document.cache_clear()
    monkeypatch.setattr("builds.api.openapi.generator.SchemaGenerator.get_schema", make)
    threads = [threading.Thread(target=document, args=["2"]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _document.cache_clear()
    assert making == ["begun", "ended"]


def test_programs_get_the_document_and_people_a_page(api: Api) -> None:
    assert api.get("schema/") == document("2")
    assert api.get("docs/") == {"schema": "http://testserver/module-build-service/2/schema/"}
    page = api.client.get("/module-build-service/2/docs/", headers={"Accept": "text/html"})
    assert 'data-schema="http://testserver/module-build-service/2/schema/"' in page.content.decode()
    assert '<html lang="en">' in page.content.decode()
    # What is large comes when it is asked for; the operations are there without it, and without scripts.
    assert not re.search(r"<script[^>]*swagger-ui", page.content.decode())
    assert "<b>POST</b> /module-build-service/2/module-builds/{id}/rebuild/plan" in page.content.decode()
    assert "'unsafe-inline'" not in page["Content-Security-Policy"].split("script-src")[1].split(";")[0]


def test_people_get_a_page_where_there_is_no_document(api: Api) -> None:
    page = api.client.get("/module-build-service/3/docs/", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "There is no such version" in page.content.decode()
    assert page["Content-Security-Policy"].startswith("default-src 'none'")


def test_options_describe_the_purpose_of_an_address(api: Api) -> None:
    answer = api.client.options("/module-build-service/2/module-builds/")
    assert answer.status_code == 200
    assert {"GET", "POST"} <= {*answer["Allow"].split(", ")}


def test_logins_are_described_where_there_are_any(option: Callable[..., None]) -> None:
    def security(method: str) -> Any:
        return document("2")["paths"]["/module-build-service/2/module-builds/"][method].get("security")

    assert security("post") is None
    assert document("2")["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    option(NO_AUTH=False, AUTH_METHOD="oidc")
    assert security("post") == [{"token": []}, {"oidc": []}]
    assert security("get") is None
    option(AUTH_METHOD="kerberos")
    assert document("2")["components"]["securitySchemes"]["kerberos"]["scheme"] == "negotiate"
