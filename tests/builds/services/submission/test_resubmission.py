"""Submitting a failed build again: new commits are used, any other difference is refused by its name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from builds.models import ModuleBuild, Submission
from builds.services import cancellation
from builds.services.plan import plan
from builds.services.submission import SubmissionRequest
from mbs.errors import Conflict, InvalidInput, MBSError
from mbs.modulemd import parse_stream
from mbs.states import BuildState, ComponentState
from tests.builds.conftest import Forge, document, submitted

TWO = {"alpha": "buildorder: 1", "beta": "buildorder: 2"}


@pytest.fixture
def failed(forge: Forge, sent: list[int]) -> ModuleBuild:
    """A build of which alpha is complete and beta failed."""
    (build,) = submitted(scmurl=forge.module("tiny", document(TWO)))
    build.component_builds.filter(package="alpha").update(state=ComponentState.COMPLETE, nvr="alpha-1-1")
    build.component_builds.filter(package="beta").update(state=ComponentState.FAILED)
    ModuleBuild.objects.filter(pk=build.pk).update(state=BuildState.FAILED, arch_names=["x86_64"])
    build.refresh_from_db()
    return build


def differences(kind: type[MBSError] = Conflict, **values: object) -> dict[str, str]:
    """Key or component of each difference that a submission is refused for -> what is said of it."""
    before = list(ModuleBuild.objects.order_by("pk").values())
    with pytest.raises(kind) as caught:
        submitted(**values)
    assert caught.value.code == "submitted_differently"
    assert list(ModuleBuild.objects.order_by("pk").values()) == before
    with pytest.raises(kind):
        plan(SubmissionRequest(owner="anna", **{"branch": "1", **values}))
    return {problem.key or problem.component: problem.message for problem in caught.value.problems}


def test_new_commits_of_what_is_unfinished_are_built(failed: ModuleBuild, forge: Forge) -> None:
    commit = forge.change("beta")
    (build,) = submitted(scmurl=failed.scmurl)
    build.refresh_from_db()
    assert (build.pk, build.state) == (failed.pk, BuildState.WAIT)
    assert build.component_builds.get(package="beta").ref == commit
    noted = parse_stream(build.modulemd, strict=False).mbs["rpms"]
    assert noted == {"alpha": {"ref": forge.head("alpha")}, "beta": {"ref": commit}}


def test_an_override_of_what_is_unfinished_is_built_and_kept(failed: ModuleBuild, forge: Forge) -> None:
    old = forge.head("beta")
    forge.change("beta")
    overrides = {"beta": old}
    (build,) = submitted(scmurl=failed.scmurl, rpm_component_ref_overrides=overrides)
    assert build.component_builds.get(package="beta").ref == old
    kept = Submission.objects.get(module_build=build).request
    assert kept["rpm_component_ref_overrides"] == overrides
    ModuleBuild.objects.filter(pk=build.pk).update(state=BuildState.FAILED)
    submitted(scmurl=failed.scmurl)
    assert "rpm_component_ref_overrides" not in Submission.objects.get(module_build=build).request


def test_a_new_commit_of_what_is_built_is_named(failed: ModuleBuild, forge: Forge) -> None:
    old, new = forge.head("alpha"), forge.change("alpha")
    assert differences(scmurl=failed.scmurl) == {
        "data.components.rpms.alpha.ref": f"alpha is built from {old}, and was submitted as {new}"
    }
    cancellation.resume(failed, "anna")
    assert failed.state == BuildState.WAIT


def test_another_document_is_named_key_by_key(
    failed: ModuleBuild, forge: Forge, option: Callable[..., None]
) -> None:
    option(YAML_SUBMIT_ALLOWED=True)
    forge.package("gamma")
    text = document(TWO).replace("A module\n", "Another module\n").replace("beta: {", "gamma: {")
    names = "data:\n  name: tiny\n  stream: '1'\n  version: 20180205135154\n"
    assert differences(modulemd=text.replace("data:\n", names)) == {
        "scmurl": f"scmurl was {failed.scmurl}, and is left out",
        "data.summary": "the document has another data.summary",
        "data.components.rpms.beta": "the document has another data.components.rpms.beta",
        "data.components.rpms.gamma": "the document has another data.components.rpms.gamma",
        "beta": "beta is not a component any more",
        "gamma": "gamma is a new component",
    }


def test_another_strategy_and_another_source_of_reuse_are_named(
    failed: ModuleBuild, option: Callable[..., None]
) -> None:
    option(REBUILD_STRATEGY_ALLOW_OVERRIDE=True, REBUILD_STRATEGIES_ALLOWED=("all", "only-changed"))
    assert differences(InvalidInput, scmurl=failed.scmurl, rebuild_strategy="only-changed") == {
        "rebuild_strategy": f"rebuild_strategy was {failed.rebuild_strategy}, and is only-changed"
    }
    (build,) = submitted(scmurl=failed.scmurl)
    assert build.rebuild_strategy == failed.rebuild_strategy


def test_the_same_once_more_is_resumed_as_it_was(failed: ModuleBuild) -> None:
    before = list(failed.component_builds.order_by("pk").values("package", "ref", "scmurl", "unresolved_ref"))
    (build,) = submitted(scmurl=failed.scmurl)
    assert (
        list(build.component_builds.order_by("pk").values("package", "ref", "scmurl", "unresolved_ref"))
        == before
    )
    build.refresh_from_db()
    assert build.modulemd == failed.modulemd
