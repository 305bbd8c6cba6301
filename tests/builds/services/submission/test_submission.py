"""The rows that a submission from git records."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from builds.models import ModuleBuild
from builds.services.plan import plan
from builds.services.submission import SubmissionRequest
from mbs.errors import Conflict, InvalidInput, Unprocessable
from mbs.modulemd import ModulemdError, parse_stream
from mbs.states import BuildState, ComponentState
from tests.builds.conftest import Forge, document, everything, submitted
from tests.factories import base_module, module_build

TWO = {"alpha": "buildorder: 1", "beta": "buildorder: 2"}
ONE = document({"alpha": ""})
PACKAGER = """document: modulemd-packager
version: 3
data:
  name: own
  stream: '1'
  summary: A module
  description: A module of two contexts.
  license: [MIT]
  configurations:
  - {context: first, platform: f40}
  - {context: second, platform: f41}
  components:
    rpms:
      alpha: {rationale: needed}
"""


@pytest.fixture
def later(option: Callable[..., None]) -> None:
    """Scratch builds are allowed."""
    option(MODULES_ALLOW_SCRATCH=True)


def test_a_module_is_recorded_with_its_batches(forge: Forge, sent: list[int]) -> None:
    scmurl = forge.module("tiny", document(TWO))
    (build,) = submitted(scmurl=scmurl)
    assert str(build.nsvc).startswith("tiny:1:4020180205135154:")
    assert (build.state, build.owner, build.scmurl) == (BuildState.INIT, "anna", scmurl)
    assert sent == [build.pk]
    assert list(build.component_builds.order_by("batch").values_list("batch", "package", "ref")) == [
        (1, "module-build-macros", None),
        (2, "alpha", forge.head("alpha")),
        (3, "beta", forge.head("beta")),
    ]
    assert build.batches == 3
    assert [(trace.state, trace.state_reason) for trace in build.state_trace.all()] == [(0, None)]
    (message,) = build.outbox.all()
    assert (message.topic, message.body["state_name"]) == ("mbs.module.state.change", "init")
    assert build.required_modules.get().name == "platform"


def test_the_document_names_what_was_found(forge: Forge, sent: list[int]) -> None:
    (build,) = submitted(scmurl=forge.module("tiny", ONE))
    found = parse_stream(build.modulemd, strict=False)
    assert (found.name, found.stream, str(found.version), found.context) == (
        build.name,
        build.stream,
        build.version,
        build.context,
    )
    assert found.mbs["rpms"] == {"alpha": {"ref": forge.head("alpha")}}
    assert found.mbs["scmurl"] == build.scmurl
    assert found.mbs["buildrequires"]["platform"]["stream"] == "f40"
    assert build.koji_tag == f"module-tiny-1-{build.version}-{build.context}"
    assert build.disttag.startswith(f"module+f40+{build.pk}+")


def test_a_graph_is_recorded_as_such(forge: Forge, sent: list[int]) -> None:
    (build,) = submitted(scmurl=forge.module("tiny", document({"alpha": "", "beta": "buildafter: [alpha]"})))
    assert build.graph
    rows = build.component_builds.filter(batch=2).order_by("package")
    assert list(rows.values_list("package", "build_after", "blocked")) == [
        ("alpha", [], False),
        ("beta", ["alpha"], True),
    ]


def test_one_build_for_each_stream_of_the_base_module(forge: Forge, sent: list[int]) -> None:
    base_module("f41")
    builds = submitted(scmurl=forge.module("tiny", document(TWO, "[f40, f41]")))
    assert {build.version[:2] for build in builds} == {"40", "41"}
    assert len(sent) == 2


def test_existing_builds_are_kept_and_failed_ones_resumed(forge: Forge, sent: list[int]) -> None:
    base_module("f41")
    scmurl = forge.module("tiny", document(TWO, "[f40, f41]"))
    kept, failed = submitted(scmurl=scmurl)
    ModuleBuild.objects.filter(pk=kept.pk).update(state=BuildState.READY)
    ModuleBuild.objects.filter(pk=failed.pk).update(state=BuildState.FAILED)
    failed.component_builds.filter(package="alpha").update(state=ComponentState.COMPLETE, nvr="alpha-1-1")
    failed.component_builds.filter(package="beta").update(state=ComponentState.FAILED)
    sent.clear()
    again = submitted(scmurl=scmurl)
    assert [build.pk for build in again] == [kept.pk, failed.pk]
    assert sent == [failed.pk]
    kept.refresh_from_db()
    failed.refresh_from_db()
    assert (kept.state, failed.state) == (BuildState.READY, BuildState.INIT)
    assert failed.component_builds.get(package="alpha").state == ComponentState.COMPLETE
    assert failed.component_builds.get(package="beta").state is None


@pytest.mark.parametrize("state", [state for state in BuildState if state != BuildState.FAILED])
def test_a_build_in_any_other_state_is_a_conflict(forge: Forge, sent: list[int], state: BuildState) -> None:
    scmurl = forge.module("tiny", ONE)
    (build,) = submitted(scmurl=scmurl)
    ModuleBuild.objects.filter(pk=build.pk).update(state=state)
    before = everything()
    with pytest.raises(Conflict) as caught:
        submitted(scmurl=scmurl)
    assert caught.value.code == "exists_already"
    assert str(build.nsvc) in caught.value.message
    assert everything() == before


def test_scratch_builds_are_numbered(forge: Forge, sent: list[int], later: None) -> None:
    scmurl = forge.module("tiny", ONE)
    (real,) = submitted(scmurl=scmurl)
    names = [submitted(scmurl=scmurl, scratch=True)[0] for _ in range(3)]
    assert [build.context for build in names] == [f"{real.context}_{number}" for number in (1, 2, 3)]
    assert {build.scratch for build in names} == {True}
    first = names[0]
    assert first.koji_tag == f"scrmod-tiny-1-{first.version}-{first.context}+{first.pk}"
    assert first.disttag.startswith("scrmod+f40+")


def test_a_new_commit_is_a_new_version(forge: Forge, sent: list[int]) -> None:
    (first,) = submitted(scmurl=forge.module("tiny", ONE))
    (second,) = submitted(scmurl=forge.module("tiny", document(TWO)))
    assert int(second.version) > int(first.version)


class TestOverrides:
    def test_a_buildrequire_is_replaced(self, forge: Forge, sent: list[int]) -> None:
        base_module("f41")
        (build,) = submitted(scmurl=forge.module("tiny", ONE), buildrequire_overrides={"platform": ["f41"]})
        assert build.buildrequires["platform"]["stream"] == "f41"
        assert build.requires == [{"platform": ["f40"]}]

    def test_a_require_is_replaced(self, forge: Forge, sent: list[int]) -> None:
        (build,) = submitted(scmurl=forge.module("tiny", ONE), require_overrides={"platform": ["f40", "f41"]})
        assert build.requires == [{"platform": ["f40", "f41"]}]

    @pytest.mark.parametrize("key", ["buildrequire_overrides", "require_overrides"])
    def test_one_that_names_no_dependency_is_refused(self, forge: Forge, sent: list[int], key: str) -> None:
        before = everything()
        with pytest.raises(InvalidInput) as caught:
            submitted(scmurl=forge.module("tiny", ONE), **{key: {"perl": ["5.30"]}})
        assert "perl" in caught.value.message
        assert everything() == before

    def test_the_commit_of_a_component_is_replaced(self, forge: Forge, sent: list[int]) -> None:
        old = forge.head("alpha")
        assert forge.change("alpha") != old
        (build,) = submitted(
            scmurl=forge.module("tiny", document(TWO)), rpm_component_ref_overrides={"alpha": old}
        )
        assert build.component_builds.get(package="alpha").ref == old
        assert build.component_builds.get(package="beta").ref == forge.head("beta")

    def test_one_that_names_no_component_is_ignored_and_planned_with_a_warning(
        self, forge: Forge, sent: list[int]
    ) -> None:
        values = {
            "scmurl": forge.module("tiny", ONE),
            "branch": "1",
            "rpm_component_ref_overrides": {"gamma": "x"},
        }
        warnings = plan(SubmissionRequest(owner="anna", **values)).as_dict()["warnings"]
        assert [each["message"] for each in warnings if each["component"] == "gamma"] == [
            "rpm_component_ref_overrides names gamma, which is not a component; it is ignored."
        ]
        (build,) = submitted(**values)
        packages = build.component_builds.filter(build_time_only=False)
        assert {each.package: each.ref for each in packages} == {"alpha": forge.head("alpha")}


class TestYaml:
    def test_a_document_may_be_sent(self, forge: Forge, sent: list[int]) -> None:
        (build,) = submitted(modulemd=ONE, module_name="tiny", module_stream="1")
        assert (build.name, build.stream, build.scmurl) == ("tiny", "1", None)

    @pytest.mark.parametrize(
        ("own", "values", "name"),
        [
            ("", {"module_name": "sent", "file_name": "byfile"}, "sent"),
            ("name: own", {"module_name": "sent", "file_name": "byfile"}, "sent"),
            ("name: own", {"file_name": "byfile"}, "own"),
            ("name: own", {"file_name": "no name"}, "own"),
            ("", {"file_name": "byfile"}, "byfile"),
        ],
    )
    def test_its_name_is_sent_or_its_own_or_that_of_its_file(
        self, forge: Forge, sent: list[int], own: str, values: dict[str, str], name: str
    ) -> None:
        text = ONE.replace("data:\n", f"data:\n  {own}\n")
        (build,) = submitted(modulemd=text, **values)
        assert build.name == name
        assert parse_stream(build.modulemd, strict=False).name == name

    @pytest.mark.parametrize("file_name", ["", "no name", "../up", "a:b", "x" * 129])
    def test_it_needs_a_name(self, forge: Forge, sent: list[int], file_name: str) -> None:
        with pytest.raises(Unprocessable) as caught:
            submitted(modulemd=ONE, file_name=file_name)
        assert caught.value.code == "no_name"

    @pytest.mark.parametrize(
        ("own", "values", "stream"),
        [
            ("stream: own", {"module_stream": "sent", "branch": "b"}, "sent"),
            ("", {"module_stream": "sent"}, "sent"),
            ("stream: own", {"branch": "b"}, "own"),
            ("", {"branch": "stream-1-2"}, "stream_1_2"),
            ("", {}, "devel_1"),
        ],
    )
    def test_its_stream_is_sent_or_its_own_or_its_branch_or_the_default(
        self,
        forge: Forge,
        sent: list[int],
        option: Callable[..., None],
        own: str,
        values: dict[str, str],
        stream: str,
    ) -> None:
        option(DEFAULT_BRANCH="devel-1")
        text = document({"alpha": "ref: main"}).replace("data:\n", f"data:\n  {own}\n")
        (build,) = submitted(modulemd=text, module_name="tiny", **values)
        assert build.stream == stream
        assert parse_stream(build.modulemd, strict=False).stream == stream

    def test_all_streams_of_a_packager_document_get_the_sent_name_and_stream(
        self, forge: Forge, sent: list[int]
    ) -> None:
        base_module("f41", stream_version=410000.0)
        builds = submitted(modulemd=PACKAGER, module_name="sent", module_stream="9")
        assert {(build.name, build.stream, build.context) for build in builds} == {
            ("sent", "9", "first"),
            ("sent", "9", "second"),
        }

    def test_a_branch_that_is_no_stream_is_refused(self, forge: Forge, sent: list[int]) -> None:
        with pytest.raises(ModulemdError) as caught:
            submitted(modulemd=ONE, module_name="tiny", branch="private/x")
        assert caught.value.problems[0].code == "invalid_stream"


def test_a_dash_in_a_branch_is_an_underscore_in_the_stream(forge: Forge, sent: list[int]) -> None:
    scmurl = forge.module("tiny", ONE, branch="private-x")
    (build,) = submitted(scmurl=scmurl, branch="private-x")
    assert build.stream == "private_x"


class TestReuseComponentsFrom:
    @pytest.fixture
    def source(self, forge: Forge) -> ModuleBuild:
        return module_build(state=BuildState.READY, name="tiny", version="1", context="c")

    def test_a_number_and_a_name_name_a_build(
        self, forge: Forge, sent: list[int], later: None, source: ModuleBuild
    ) -> None:
        scmurl = forge.module("tiny", ONE)
        for reference in (str(source.pk), str(source.nsvc)):
            (build,) = submitted(scmurl=scmurl, scratch=True, reuse_components_from=reference)
            build.refresh_from_db()
            assert build.reuse_components_from == source

    @pytest.mark.parametrize(
        ("reference", "code"),
        [
            ("999999", "unknown_reuse_components_from"),
            ("tiny:1:2:c", "unknown_reuse_components_from"),
            ("tiny:1", "invalid_reuse_components_from"),
            ("9" * 30, "invalid_reuse_components_from"),
            ("-1", "invalid_reuse_components_from"),
        ],
    )
    def test_there_must_be_such_a_build(
        self, forge: Forge, sent: list[int], source: ModuleBuild, reference: str, code: str
    ) -> None:
        before = everything()
        with pytest.raises(InvalidInput) as caught:
            submitted(scmurl=forge.module("tiny", ONE), reuse_components_from=reference)
        assert caught.value.code == code
        assert everything() == before

    def test_it_must_be_ready(self, forge: Forge, sent: list[int], source: ModuleBuild) -> None:
        ModuleBuild.objects.filter(pk=source.pk).update(state=BuildState.FAILED)
        with pytest.raises(InvalidInput) as caught:
            submitted(scmurl=forge.module("tiny", ONE), reuse_components_from=str(source.pk))
        assert caught.value.code == "reuse_components_from_not_ready"

    def test_it_contradicts_building_everything(
        self, forge: Forge, sent: list[int], source: ModuleBuild, option: Callable[..., None]
    ) -> None:
        option(REBUILD_STRATEGY="all")
        with pytest.raises(InvalidInput) as caught:
            submitted(scmurl=forge.module("tiny", ONE), reuse_components_from=str(source.pk))
        assert caught.value.code == "reuse_with_all"
