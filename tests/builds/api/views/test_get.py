"""Representations of builds, components, log messages and the service."""

from __future__ import annotations

import pytest

from builds.models import LogMessage
from mbs.states import BuildState, ComponentState
from tests.builds.rest import Api
from tests.factories import base_module, component_build, module_build, wait

SHORT = {"id", "state", "state_name", "stream", "version", "name", "context", "scratch"}
DEFAULT = SHORT | {
    *["batch", "component_builds", "koji_tag", "owner", "new_repo_task_id", "rebuild_strategy", "scmurl"],
    *["srpms", "siblings"],
    *["state_reason", "time_completed", "time_modified", "time_submitted", "buildrequires", "tasks"],
    *["waiting_for", "error", "repository_url", "repo_file_url", "install"],
}
VERBOSE = DEFAULT | {
    *["base_module_buildrequires", "build_context", "build_context_no_bms", "modulemd", "reused_module_id"],
    *["runtime_context", "state_trace", "state_url", "stream_version", "virtual_streams", "arches"],
    "topdir",
}
COMPONENT = {
    *["id", "package", "format", "task_id", "state", "state_name", "state_reason", "module_build", "nvr"],
    *["waiting_for", "buildonly", "task_url", "weight", "reuse", "excerpt", "time_started", "time_completed"],
}


@pytest.mark.parametrize(
    ("query", "keys"),
    [("", DEFAULT), ("?short=true", SHORT), ("?verbose=1", VERBOSE), ("?verbose=true&verbose=True", VERBOSE)],
)
def test_a_build_has_the_keys_of_its_representation(api: Api, query: str, keys: set[str]) -> None:
    build = module_build(components=1)
    assert api.get(f"module-builds/{build.pk}{query}").keys() == keys
    assert api.get(f"module-builds/{query}")["items"][0].keys() == keys


def test_a_verbose_build_has_all_keys(api: Api) -> None:
    platform = base_module("f30", stream_version=300000.0)
    build = module_build(
        state=BuildState.FAILED,
        state_reason="package0: it broke",
        error_code="component_failed",
        error_hint="Mend it.",
        error_excerpt={"component": "package0", "lines": ["x.c:1: error: bad"]},
        requires=platform,
        arch_names=["x86_64"],
    )
    component = component_build(
        build, package="package0", state=ComponentState.FAILED, state_reason="it broke", task_id=7
    )
    answer = api.get(f"module-builds/{build.pk}?verbose=1")
    assert answer["tasks"] == {
        "rpms": {
            "package0": {"task_id": 7, "state": 3, "state_reason": "it broke", "nvr": None},
        }
    }
    assert answer["component_builds"] == [component.pk]
    assert answer["error"] == {
        "code": "component_failed",
        "message": "package0: it broke",
        "hint": "Mend it.",
        "cause": "module",
        "excerpt": {"component": "package0", "lines": ["x.c:1: error: bad"]},
    }
    assert [step["state_name"] for step in answer["state_trace"]] == ["init", "wait", "build", "failed"]
    assert answer["base_module_buildrequires"] == [
        {
            "id": platform.pk,
            "state": 5,
            "state_name": "ready",
            "name": "platform",
            "stream": "f30",
            "version": "3",
            "context": "00000000",
            "stream_version": 300000.0,
        }
    ]
    assert answer["state_url"] == f"/module-build-service/2/module-builds/{build.pk}"
    assert answer["arches"] == ["x86_64"]
    assert answer["time_submitted"].endswith("Z")


def test_virtual_streams_of_a_base_module_are_shown(api: Api) -> None:
    build = base_module(virtual_streams=("fedora", "el8"))
    assert api.get(f"module-builds/{build.pk}?verbose=1")["virtual_streams"] == ["fedora", "el8"]


def test_siblings_share_name_stream_version_and_scratch(api: Api) -> None:
    one, two = (module_build(version="7") for _ in range(2))
    module_build(version="8")
    module_build(version="7", scratch=True)
    assert api.get(f"module-builds/{one.pk}")["siblings"] == [two.pk]


def test_a_build_without_components_has_no_tasks(api: Api) -> None:
    assert api.get(f"module-builds/{module_build().pk}")["tasks"] == {}


def test_an_active_build_shows_what_it_waits_for(api: Api) -> None:
    build = module_build(state=BuildState.BUILD)
    assert api.get(f"module-builds/{build.pk}")["waiting_for"] is None
    wait(build, what="bash is being built")
    wait(build)
    assert api.get(f"module-builds/{build.pk}")["waiting_for"] == {
        "what": "bash is being built (and 1 more)",
        "since": "2024-01-01T00:00:00Z",
        "wakes_on": "the build system's report of the tags",
    }


def test_a_component_is_shown_in_two_forms(api: Api) -> None:
    component = component_build(module_build(), state=ComponentState.BUILDING, task_id=5)
    answer = api.get(f"component-builds/{component.pk}")
    assert answer.keys() == COMPONENT
    assert (answer["state"], answer["state_name"]) == (0, "BUILDING")
    verbose = api.get(f"component-builds/{component.pk}?verbose=1")
    assert verbose.keys() == COMPONENT | {"batch", "state_trace", "state_url"}
    assert verbose["state_trace"][0]["state_name"] == "BUILDING"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "path", ["module-builds", "component-builds", "about", "rebuild-strategies", "module-builds/{}"]
)
def test_both_spellings_answer_directly(api: Api, version: int, path: str) -> None:
    path = path.format(module_build().pk)
    assert api.get(path, version=version) == api.get(f"{path}/", version=version) | (
        {"meta": api.get(path, version=version)["meta"]} if "builds" in path and path[-1] == "s" else {}
    )


@pytest.mark.parametrize("version", [0, 3])
def test_other_versions_are_not_found(api: Api, version: int) -> None:
    api.get("module-builds/", version=version, status=404)


def test_the_service_describes_itself(api: Api) -> None:
    answer = api.get("about/", version=1)
    assert answer.keys() == {"version", "api_version", "auth_method"}
    assert answer["api_version"] == 2


def test_rebuild_strategies_are_sorted_and_marked_as_allowed_or_not(api: Api, option) -> None:
    items = api.get("rebuild-strategies/")["items"]
    assert [item["name"] for item in items] == ["all", "changed-and-after", "only-changed"]
    assert [item["allowed"] for item in items] == [False, True, False]
    option(REBUILD_STRATEGY_ALLOW_OVERRIDE=True, REBUILD_STRATEGIES_ALLOWED=("all",))
    items = api.get("rebuild-strategies/")["items"]
    assert [item["allowed"] for item in items] == [True, True, False]
    assert [item["default"] for item in items] == [False, True, False]


def test_messages_are_paged_newest_first(api: Api) -> None:
    build = module_build()
    component = component_build(build)
    for text in ("one", "two", "three"):
        LogMessage.objects.create(module_build=build, component_build=component, message=text)
    page = api.get(f"module-builds/{build.pk}/messages?per_page=2")
    assert [message["message"] for message in page["messages"]] == ["three", "two"]
    assert page["meta"]["total"] == 3
    assert f"module-builds/{build.pk}/messages?page=2" in page["meta"]["next"]
    assert len(api.get(f"component-builds/{component.pk}/messages")["messages"]) == 3


@pytest.mark.parametrize(
    "path",
    ["module-builds/1", "component-builds/1/messages", "module-builds/99999999999999999999999", "nothing"],
)
def test_missing_resources_are_404(api: Api, path: str) -> None:
    api.get(path, status=404)


def test_reads_may_be_made_from_pages_of_any_site(api: Api) -> None:
    response = api.client.get(
        "/module-build-service/2/module-builds/", headers={"Origin": "https://x.example"}
    )
    assert response["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("prefix", ["", "/front"])
@pytest.mark.parametrize(
    ("path", "merged"),
    [
        ("/module-build-service/2//module-builds/", "/module-build-service/2/module-builds/"),
        ("/module-build-service//2///about/?a=b//c", "/module-build-service/2/about/?a=b//c"),
        ("//module-build-service/2/about/", "/module-build-service/2/about/"),
    ],
)
def test_doubled_slashes_are_redirected_with_the_body(api: Api, prefix: str, path: str, merged: str) -> None:
    for method in ("GET", "POST"):
        path_info, _, query = path.partition("?")
        request = {"PATH_INFO": path_info, "QUERY_STRING": query, "SCRIPT_NAME": prefix}
        answer = api.client.generic(method, "/", b"{}", **request)
        assert (answer.status_code, answer["Location"]) == (308, prefix + merged)


@pytest.mark.parametrize(
    "path", ["//nothing.example.com/x", "/module-build-service/2//nothing", "//%2f%5cx/"]
)
def test_doubled_slashes_of_no_address_are_not_redirected(api: Api, path: str) -> None:
    assert api.client.generic("GET", "/", PATH_INFO=path).status_code == 404
