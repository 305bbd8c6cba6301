"""A plan describes the effects of a submission and changes nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from django.test import Client
from django.utils import timezone

from builds.api.openapi import generator as schema
from builds.models import ModuleBuild
from builds.services import reuse
from builds.services.plan import plan
from builds.services.submission import SubmissionRequest, sources
from buildsys.base import Capabilities
from mbs.errors import Unprocessable
from mbs.states import BuildState, ComponentState
from tests.builds.api.openapi.closed_document import closed
from tests.builds.conftest import Forge, document, everything, submitted
from tests.factories import base_module
from tests.gitrepos import commit, package_files

TWO = {"alpha": "buildorder: 1", "beta": "buildorder: 2"}


def planned(**values: Any) -> dict[str, Any]:
    """The plan of anna's submission from branch 1; nothing may have been recorded."""
    before = everything()
    found = plan(SubmissionRequest(**{"owner": "anna", "branch": "1", **values})).as_dict()
    assert everything() == before
    json.dumps(found)
    shape = {"$ref": "#/components/schemas/Plan", "components": closed(schema.document("2")["components"])}
    jsonschema.Draft202012Validator(shape).validate(found)
    return found


def finish(build: ModuleBuild, **seconds: float) -> None:
    """Make a build ready, each package built in so many seconds."""
    now = timezone.now()
    reuse.apply(build)
    for component in build.component_builds.filter(reused_component=None):
        component.state, component.nvr = ComponentState.COMPLETE, f"{component.package}-1-{build.version}"
        component.time_completed = now
        component.time_started = now - timedelta(seconds=seconds.get(component.package, 1))
        component.save()
    build.state, build.time_completed, build.arch_names = BuildState.READY, now, ["x86_64"]
    build.save()


def components(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (build,) = found["builds"]
    return {each["package"]: each for batch in build["batches"] for each in batch["components"]}


def test_a_plan_is_what_a_submission_then_does(forge: Forge, sent: list[int]) -> None:
    base_module("f41")
    scmurl = forge.module("tiny", document(TWO, "[f40, f41]"))
    found = planned(scmurl=scmurl)
    builds = submitted(scmurl=scmurl)
    assert [each["nsvc"] for each in found["builds"]] == [str(build.nsvc) for build in builds]
    for each, build in zip(found["builds"], builds, strict=True):
        assert (each["action"], each["id"], each["state_name"]) == ("build", None, None)
        rows = build.component_builds.order_by("batch", "pk").values_list("batch", "package", "ref")
        assert [
            (batch["batch"], component["package"], component["ref"])
            for batch in each["batches"]
            for component in batch["components"]
        ] == list(rows)
        platform = build.buildrequires["platform"]
        assert each["buildrequires"] == {
            "platform": f"{platform['stream']}:{platform['version']}:{platform['context']}"
        }
    assert found["scmurl"] == scmurl
    assert {step["code"] for step in found["trace"]} >= {"chosen"}
    assert len(sent) == 2


def test_an_existing_build_is_no_conflict(forge: Forge, sent: list[int]) -> None:
    scmurl = forge.module("tiny", document(TWO))
    (build,) = submitted(scmurl=scmurl)
    (kept,) = planned(scmurl=scmurl)["builds"]
    assert (kept["action"], kept["id"], kept["state_name"]) == ("keep", build.pk, "init")
    ModuleBuild.objects.filter(pk=build.pk).update(state=BuildState.FAILED)
    build.component_builds.filter(package="alpha").update(state=ComponentState.COMPLETE)
    (resumed,) = planned(scmurl=scmurl)["builds"]
    assert resumed["action"] == "resume"
    assert resumed["critical_path"]["packages"] == ["module-build-macros", "beta"]


def test_expected_times_and_the_critical_path_come_from_history(forge: Forge, sent: list[int]) -> None:
    forge.package("gamma")
    text = document({"alpha": "", "beta": "buildafter: [alpha]", "gamma": ""})
    (build,) = submitted(scmurl=forge.module("other", text))
    finish(build, alpha=20, beta=30, gamma=45, **{"module-build-macros": 5})
    found = planned(scmurl=forge.module("tiny", text))
    (planned_build,) = found["builds"]
    assert planned_build["graph"]
    assert components(found)["beta"]["build_after"] == ["alpha"]
    assert components(found)["beta"]["seconds"] == 30
    assert planned_build["critical_path"] == {
        "seconds": 55,
        "packages": ["module-build-macros", "alpha", "beta"],
        "unknown": [],
    }


def test_streams_without_builds_are_named(forge: Forge) -> None:
    (build,) = planned(scmurl=forge.module("tiny", document(TWO)))["builds"]
    assert build["critical_path"]["unknown"] == ["alpha", "beta", "module-build-macros"]
    assert build["critical_path"]["packages"] == ["module-build-macros", "alpha", "beta"]


def test_each_component_has_the_reason_why_it_is_reused_or_not(forge: Forge, sent: list[int]) -> None:
    text = document(TWO)
    (former,) = submitted(scmurl=forge.module("tiny", text))
    finish(former)
    old, new = forge.head("beta"), forge.change("beta")
    found = planned(scmurl=forge.module("tiny", text + "\n"))
    assert found["builds"][0]["reused_module"] == {"id": former.pk, "nsvc": str(former.nsvc)}
    alpha, beta = components(found)["alpha"]["reuse"], components(found)["beta"]["reuse"]
    assert (alpha["reused"], alpha["code"], alpha["nvr"]) == (True, "reused", f"alpha-1-{former.version}")
    assert (beta["reused"], beta["code"], beta["former"], beta["present"]) == (
        False,
        "commit_changed",
        old,
        new,
    )
    assert found["builds"][0]["critical_path"]["packages"] == ["module-build-macros", "beta"]


def test_a_release_without_dist_is_a_warning_or_refused(
    forge: Forge, monkeypatch: pytest.MonkeyPatch, sent: list[int]
) -> None:
    text = str(package_files("alpha")["alpha.spec"])
    assert "%{?dist}" in text
    commit(forge.folder / "rpms" / "alpha", {"alpha.spec": text.replace("%{?dist}", "")})
    scmurl = forge.module("tiny", document(TWO))
    (warning,) = planned(scmurl=scmurl)["warnings"]
    assert warning["component"] == "alpha"
    assert "Write 'Release: 1%{?dist}'" in warning["message"]

    local = SimpleNamespace(capabilities=Capabilities(needs_dist=True))
    monkeypatch.setattr(sources, "build_system", lambda: local)
    with pytest.raises(Unprocessable) as caught:
        submitted(scmurl=scmurl)
    (problem,) = caught.value.problems
    assert (problem.component, problem.code) == ("alpha", "no_dist_tag")
    assert not ModuleBuild.objects.exclude(name="platform").exists()


def test_when_all_is_reused_nothing_is_built(forge: Forge, sent: list[int]) -> None:
    text = document(TWO)
    (former,) = submitted(scmurl=forge.module("tiny", text))
    finish(former)
    found = planned(scmurl=forge.module("tiny", text + "\n"))
    assert components(found).keys() == {"alpha", "beta"}
    assert found["builds"][0]["critical_path"]["packages"] == []


def test_streams_that_could_not_be_combined_are_reported(forge: Forge) -> None:
    with pytest.raises(Unprocessable) as caught:
        planned(scmurl=forge.module("tiny", document(TWO, "[f99]")))
    assert caught.value.code == "unknown_base_module"
    found = planned(scmurl=forge.module("some", document(TWO, "[f40, f99]")))
    assert [each["streams"] for each in found["rejected"]] == [{"platform": "f99"}]
    assert len(found["builds"]) == 1


def test_scratch_builds_are_planned_under_their_own_name(forge: Forge) -> None:
    (build,) = planned(scmurl=forge.module("tiny", document(TWO)), scratch=True)["builds"]
    assert build["context"].endswith("_1")


@pytest.mark.parametrize("path", ["plan/", "plan"])
def test_the_api_answers_a_plan(forge: Forge, client: Client, path: str) -> None:
    before = everything()
    body = {"scmurl": forge.module("tiny", document(TWO)), "branch": "1", "owner": "anna"}
    answer = client.generic(
        "POST", f"/module-build-service/2/module-builds/{path}", json.dumps(body).encode(), content_type=""
    )
    assert answer.status_code == 200, answer.content
    assert [build["action"] for build in answer.json()["builds"]] == ["build"]
    assert everything() == before


def test_the_api_refuses_as_a_submission_does(forge: Forge, client: Client) -> None:
    answer = client.post(
        "/module-build-service/2/module-builds/plan/",
        {"scmurl": "https://example.com/x?#1", "branch": "1"},
        content_type="application/json",
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "scmurl_not_allowed")
    assert client.get("/module-build-service/2/module-builds/plan/").status_code == 405
