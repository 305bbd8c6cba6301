"""The messages as a consumer that does not have the service sees them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import jsonschema
import pika
import pytest
from fedora_messaging import message as registry
from mbs_messages import ComponentStateChangeV1, ModuleStateChangeV1

MODULE: dict[str, Any] = {
    "id": 7,
    "name": "testmodule",
    "stream": "main",
    "version": "20240101000000",
    "context": "c0ffee00",
    "release": "20240101000000.c0ffee00",
    "state": 2,
    "state_name": "build",
    "state_reason": None,
    "scratch": False,
    "batch": 1,
    "component_builds": [1, 2],
    "siblings": [],
    "koji_tag": "module-testmodule-main-20240101000000-c0ffee00",
    "new_repo_task_id": None,
    "owner": "anna",
    "rebuild_strategy": "changed-and-after",
    "scmurl": "https://src.example.com/modules/testmodule?#" + "0" * 40,
    "srpms": [],
    "time_submitted": "2024-01-01T00:00:00Z",
    "time_modified": "2024-01-01T00:00:05Z",
    "time_completed": None,
    "buildrequires": {"platform": {"ref": "virtual", "stream": "f40", "version": "1", "context": "00000000"}},
    "error": None,
}
COMPONENT: dict[str, Any] = {
    "id": 1,
    "package": "bash",
    "nvr": "bash-5-1.module+1",
    "task_id": 99,
    "state": 1,
    "state_name": "COMPLETE",
    "state_reason": None,
    "module_build": 7,
    "name": "testmodule",
    "stream": "main",
    "version": "20240101000000",
    "context": "c0ffee00",
}
KINDS = [(ModuleStateChangeV1, MODULE), (ComponentStateChangeV1, COMPONENT)]


def received(message: registry.Message) -> registry.Message:
    """The message as it comes out at the other end of the bus."""
    headers = dict(message._headers)
    properties = pika.BasicProperties(
        content_encoding="utf-8", headers=headers, message_id=message.id, content_type="application/json"
    )
    return registry.get_message(f"org.example.{message.topic}", properties, message._encoded_body)


@pytest.mark.parametrize(("kind", "body"), KINDS)
def test_a_message_arrives_as_what_it_was_sent_as(kind, body):
    sent = kind(body=body, headers={"mbs_url": "https://mbs.example.com/7"})
    there = received(sent)
    assert type(there) is kind
    assert there.body == body
    assert there.id == sent.id
    assert there.url == "https://mbs.example.com/7"
    assert there._headers["fedora_messaging_schema_package"] == "mbs_messages"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (ModuleStateChangeV1, "mbs.module.state.change.v1"),
        (ComponentStateChangeV1, "mbs.component.state.change.v1"),
    ],
)
def test_schemas_are_registered_with_their_version(kind, name):
    assert registry.get_class(name) is kind
    assert kind.body_schema["$id"].endswith(name)
    jsonschema.Draft7Validator.check_schema(kind.body_schema)


@pytest.mark.parametrize(("kind", "body", "key"), [(kind, body, key) for kind, body in KINDS for key in body])
def test_a_key_that_is_missing_or_of_another_type_is_refused(kind, body, key):
    kind(body=body).validate()
    if key not in ("error", "topdir"):
        with pytest.raises(jsonschema.ValidationError, match=key):
            kind(body={name: value for name, value in body.items() if name != key}).validate()
    with pytest.raises(jsonschema.ValidationError):
        kind(body={**body, key: 1.5}).validate()


@pytest.mark.parametrize(("kind", "body"), KINDS)
def test_keys_of_later_releases_are_accepted(kind, body):
    kind(body={**body, "new_here": {"any": "thing"}}).validate()


@pytest.mark.parametrize("kind", [ModuleStateChangeV1, ComponentStateChangeV1])
def test_a_body_that_is_not_as_it_should_be_makes_no_header_fail(kind):
    """Headers for filters are made before a message is validated."""
    assert kind(body={})._headers["fedora_messaging_severity"] == kind.severity


def test_a_module_message_names_owner_and_module():
    message = ModuleStateChangeV1(body=MODULE, headers={"mbs_url": "https://mbs.example.com/7"})
    assert message.summary == "anna's module build testmodule:main:20240101000000:c0ffee00 is now build"
    assert (message.usernames, message.packages, message.modules) == (["anna"], [], ["testmodule"])
    assert message.agent_name is None
    assert message._headers["fedora_messaging_user_anna"] is True
    assert message._headers["fedora_messaging_module_testmodule"] is True
    assert "https://mbs.example.com/7" in str(message)


def test_only_the_submission_is_the_owner_s_act():
    assert ModuleStateChangeV1(body={**MODULE, "state": 0, "state_name": "init"}).agent_name == "anna"


def test_the_message_of_a_failed_module_contains_the_reason():
    body = {**MODULE, "state": 4, "state_name": "failed", "state_reason": "bash: no space left"}
    assert "Reason: bash: no space left" in str(ModuleStateChangeV1(body=body))


@pytest.mark.parametrize(
    ("changes", "summary"),
    [
        ({}, "bash-5-1.module+1 was built"),
        ({"state": 0, "state_name": "BUILDING", "nvr": None}, "bash is being built"),
        ({"state": 3, "state_name": "FAILED"}, "bash-5-1.module+1 failed to build"),
        ({"state": None, "state_name": None, "nvr": None}, "bash will be built again"),
    ],
)
def test_a_component_message_names_package_and_state(changes, summary):
    message = ComponentStateChangeV1(body={**COMPONENT, **changes})
    message.validate()
    assert message.summary == f"{summary} for module testmodule:main:20240101000000:c0ffee00"
    assert (message.usernames, message.packages) == ([], ["bash"])


def test_nothing_of_the_service_is_needed():
    code = (
        "import sys, mbs_messages; bad = {'django', 'celery', 'mbs', 'builds', 'config'} & set(sys.modules);"
        "sys.exit(', '.join(bad) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
