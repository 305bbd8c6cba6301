"""Invalid submissions: each fault has its error code, and nothing is recorded."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from builds.services import submission
from builds.services.build_system import build_system
from builds.services.submission import SubmissionRequest
from builds.services.submission.sources import prepare
from buildsys.base import BuildSystemUnavailable, Module
from mbs.errors import Forbidden, InvalidInput, MBSError, NotSupported, Unprocessable
from mbs.states import BuildState
from tests.builds.conftest import Forge, document, everything, refused, submitted
from tests.factories import module_build
from tests.gitrepos import commit, git, make_repo, package_files

ONE = document({"alpha": ""})
WHITELIST = "  buildopts: {{rpms: {{whitelist: {}}}}}\n"
Options = Callable[..., None]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [1", "not_yaml"),
        ("\tdocument: modulemd", "not_yaml"),
        ("document: modulemd\nversion: 2\n", "no_data"),
        ("- a list", "invalid_type"),
        (ONE.replace("rationale", "rational"), "unknown_key"),
        (ONE + "  summary: twice\n", "duplicate_key"),
        ("a: &a [x]\nb: *a\n", "alias"),
        ("x" * (2 * 1024 * 1024), "too_large"),
        (document({"alpha": "buildafter: [gamma]"}), "unknown_component"),
        (document({"alpha": "buildafter: [beta]", "beta": "buildafter: [alpha]"}), "buildafter_cycle"),
    ],
)
def test_a_document_that_is_none(forge: Forge, sent: list[int], text: str, code: str) -> None:
    error = refused(modulemd=text, module_name="tiny", module_stream="1")
    assert isinstance(error, Unprocessable)
    assert error.code == code
    assert not sent


def test_a_bomb_of_aliases_takes_no_time(forge: Forge) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert refused(modulemd="\n".join(lines), module_name="tiny", module_stream="1").code == "alias"


class TestArchitectures:
    """A component without an architecture in common with the module, where that is known at submission."""

    LIMITED: ClassVar = {"alpha": "arches: [s390x, ppc64le]", "beta": "arches: [x86_64, s390x]"}

    def problems(self, forge: Forge, more: str = "") -> list[tuple[str, str]]:
        error = refused(scmurl=forge.module("tiny", document(self.LIMITED, more=more)))
        assert isinstance(error, Unprocessable)
        return [(problem.component, problem.code) for problem in error.problems]

    def test_that_the_build_system_knows_of_itself(self, forge: Forge) -> None:
        assert self.problems(forge) == [("alpha", "component_without_arch")]

    def test_that_the_configuration_names(self, forge: Forge, option: Callable[..., None]) -> None:
        option(BASE_MODULE_ARCHES={"platform:f40": ("aarch64", "x86_64")})
        assert self.problems(forge) == [("alpha", "component_without_arch")]

    def test_that_the_document_leaves(self, forge: Forge, option: Callable[..., None]) -> None:
        limited = "  buildopts: {arches: [aarch64, ppc64le, s390x, x86_64]}\n"
        option(BASE_MODULE_ARCHES={"platform:f40": ("aarch64",)})
        assert self.problems(forge, limited) == [
            ("alpha", "component_without_arch"),
            ("beta", "component_without_arch"),
        ]

    def test_a_module_for_none_of_them(self, forge: Forge) -> None:
        limited = "  buildopts:\n    arches: [riscv64]\n"
        error = refused(scmurl=forge.module("tiny", document({"alpha": ""}, more=limited)))
        assert error.code == "no_arch"

    @pytest.mark.usefixtures("sent")
    def test_a_hub_is_not_asked_at_submission(self, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(module: Module) -> tuple[str, ...]:
            raise BuildSystemUnavailable("It is away.")

        system = build_system()
        monkeypatch.setattr(system, "arches", away)
        monkeypatch.setattr(system, "capabilities", replace(system.capabilities, knows_arches=False))
        scmurl = forge.module("tiny", document(self.LIMITED))
        (build,) = submitted(scmurl=scmurl)
        assert build.state == BuildState.INIT

    def test_architectures_of_an_included_module_are_checked(
        self, forge: Forge, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system = build_system()
        monkeypatch.setattr(system, "capabilities", replace(system.capabilities, knows_arches=False))
        forge.module("other", document({"beta": "arches: [s390x]"}))
        more = "    modules:\n      other: {rationale: needed, ref: '1'}\n  buildopts: {arches: [x86_64]}\n"
        error = refused(scmurl=forge.module("tiny", document({"alpha": ""}, more=more)))
        assert [(problem.component, problem.code) for problem in error.problems] == [
            ("beta", "component_without_arch")
        ]


class TestComponents:
    """All faults of all components at once, each under its own code."""

    def problems(self, forge: Forge, *components: str) -> dict[str, set[str]]:
        error = refused(scmurl=forge.module("tiny", document(dict.fromkeys(components, ""))))
        assert isinstance(error, Unprocessable)
        assert error.code == "components_unavailable"
        found: dict[str, set[str]] = {}
        for problem in error.problems:
            assert problem.message
            found.setdefault(problem.component, set()).add(problem.code)
        return found

    def test_all_faults_are_reported_together(self, forge: Forge) -> None:
        rpms = forge.folder / "rpms"
        make_repo(rpms / "twospecs", package_files("twospecs", **{"other.spec": "Name: x\n"}), branch="main")
        make_repo(rpms / "nospec", {"README": "none\n"}, branch="main")
        make_repo(rpms / "broken", {"broken.spec": "%if\nName: x\n"}, branch="main")
        make_repo(rpms / "nosource", {**package_files("nosource"), "sources": ""}, branch="main")
        assert self.problems(forge, "alpha", "twospecs", "nospec", "broken", "nosource", "missing") == {
            "twospecs": {"two_specs"},
            "nospec": {"no_spec"},
            "broken": {"spec_invalid"},
            "nosource": {"source_missing"},
            "missing": {"repository_unreachable"},
        }

    def test_an_unknown_ref(self, forge: Forge) -> None:
        error = refused(scmurl=forge.module("tiny", document({"alpha": "ref: nowhere"})))
        assert [(problem.component, problem.code) for problem in error.problems] == [("alpha", "ref_unknown")]

    @pytest.mark.parametrize("ref", ["--upload-pack=touch /tmp/owned", "-x", "a..b"])
    def test_a_ref_that_is_an_option_reaches_no_git(self, forge: Forge, ref: str) -> None:
        error = refused(scmurl=forge.module("tiny", document({"alpha": f"ref: '{ref}'"})))
        assert error.code in {"components_unavailable", "ref_invalid"}

    @pytest.mark.parametrize("kind", ["repository", "cache"])
    def test_a_place_of_its_own_needs_leave(self, forge: Forge, kind: str) -> None:
        error = refused(scmurl=forge.module("tiny", document({"alpha": f"{kind}: 'https://example.com/x'"})))
        assert isinstance(error, Forbidden)
        assert error.code == f"custom_{kind}"

    def test_an_ext_transport_is_refused_even_with_leave(
        self, forge: Forge, option: Options, tmp_path: Path
    ) -> None:
        option(RPMS_ALLOW_REPOSITORY=True)
        target = tmp_path / "owned"
        error = refused(
            scmurl=forge.module("tiny", document({"alpha": f"repository: 'ext::sh -c touch% {target}'"}))
        )
        assert error.code == "components_unavailable"
        assert not target.exists()

    @pytest.mark.parametrize(
        ("whitelist", "keys", "code"),
        [
            ("[beta]", "", "not_whitelisted"),
            ("[alpha, beta]", "", ""),
            ("[beta]", "buildonly: true", ""),
        ],
    )
    def test_a_component_missing_in_the_whitelist_is_named(
        self, forge: Forge, sent: list[int], whitelist: str, keys: str, code: str
    ) -> None:
        text = document({"alpha": keys, "beta": ""}, more=WHITELIST.format(whitelist))
        scmurl = forge.module("tiny", text)
        if not code:
            assert submitted(scmurl=scmurl)
            return
        (problem,) = refused(scmurl=scmurl).problems
        assert (problem.component, problem.code) == ("alpha", code)
        assert problem.key == "data.buildopts.rpms.whitelist"
        assert "Add alpha to buildopts.rpms.whitelist" in problem.hint

    def test_a_package_of_another_name_than_the_component_is_refused(
        self, forge: Forge, sent: list[int]
    ) -> None:
        spec = package_files("gamma")["gamma.spec"]
        forge.package("delta", **{"delta.spec": spec, "sources": package_files("gamma")["sources"]})
        (problem,) = refused(scmurl=forge.module("tiny", document({"delta": ""}))).problems
        assert (problem.component, problem.code) == ("delta", "other_package")
        assert "gamma" in problem.message
        listed = document({"delta": ""}, more=WHITELIST.format("[gamma]"))
        assert submitted(scmurl=forge.module("tiny", listed))

    def test_a_package_name_that_only_the_build_knows_is_a_warning(
        self, forge: Forge, sent: list[int]
    ) -> None:
        files = package_files("cmake")
        spec = str(files["cmake.spec"]).replace("Name: cmake", "Name: %{?scl_prefix}cmake")
        assert spec != files["cmake.spec"]
        forge.package("cmake", **{**files, "cmake.spec": spec})
        text = document({"cmake": ""}, more=WHITELIST.format("[llvm-toolset-7-cmake]"))
        request = SubmissionRequest(owner="anna", scmurl=forge.module("tiny", text), branch="1")
        ((_, component),) = prepare(request).components
        assert any("buildopts.rpms.whitelist" in warning for warning in component.warnings)

    def test_a_package_is_built_once(self, forge: Forge) -> None:
        text = document({"alpha": "", "again": "name: alpha"})
        assert refused(scmurl=forge.module("tiny", text)).code == "package_twice"


class TestScmUrl:
    @pytest.mark.parametrize(
        ("scmurl", "code"),
        [
            ("https://example.com/modules/tiny?#main", "scmurl_not_allowed"),
            ("file:///etc/passwd?#main", "scmurl_not_allowed"),
            ("ext::sh -c touch% /tmp/owned?#main", "scmurl_invalid"),
            ("--upload-pack=touch /tmp/owned", "scmurl_invalid"),
            ("not a url", "scmurl_invalid"),
        ],
    )
    def test_a_place_outside_the_allow_list(self, forge: Forge, scmurl: str, code: str) -> None:
        error = refused(scmurl=scmurl)
        assert error.code == code
        assert isinstance(error, Forbidden if code == "scmurl_not_allowed" else InvalidInput)

    def test_a_way_out_of_an_allowed_place(self, forge: Forge) -> None:
        allowed = (forge.folder / "modules").as_uri()
        (forge.folder / "secret").mkdir()
        assert isinstance(refused(scmurl=f"{allowed}/../secret?#main"), Forbidden | InvalidInput)

    def test_a_repository_that_is_not_there(self, forge: Forge) -> None:
        missing = (forge.folder / "modules" / "none").as_uri()
        assert refused(scmurl=f"{missing}?#main").code == "repository_unreachable"

    def test_a_commit_that_is_not_there(self, forge: Forge) -> None:
        scmurl = forge.module("tiny", ONE).partition("#")[0]
        assert refused(scmurl=f"{scmurl}#{'1' * 40}").code == "ref_unknown"

    def test_a_commit_of_another_branch(self, forge: Forge) -> None:
        forge.module("tiny", ONE)
        folder = forge.folder / "modules" / "tiny"
        git(folder, "checkout", "-q", "-b", "other")
        foreign = commit(folder, {"tiny.yaml": ONE})
        assert refused(scmurl=f"{folder.as_uri()}?#{foreign}").code == "commit_not_on_branch"

    def test_a_repository_without_a_document(self, forge: Forge) -> None:
        make_repo(forge.folder / "modules" / "empty", {"README": ""}, branch="1")
        url = (forge.folder / "modules" / "empty").as_uri()
        assert refused(scmurl=f"{url}?#1").code == "no_modulemd"


class TestNames:
    @pytest.mark.parametrize(("key", "code"), [("name", "other_name"), ("stream", "other_stream")])
    def test_another_name_than_that_in_git(self, forge: Forge, key: str, code: str) -> None:
        text = ONE.replace("data:\n", f"data:\n  {key}: other\n")
        assert refused(scmurl=forge.module("tiny", text)).code == code

    def test_a_base_module(self, forge: Forge) -> None:
        assert refused(modulemd=ONE, module_name="platform", module_stream="f41").code == "base_module"

    @pytest.mark.parametrize(
        ("name", "stream", "code"),
        [("tiny", "a-b", "invalid_stream"), ("tiny", "a:b", "invalid_stream"), ("t:y", "1", "invalid_name")],
    )
    def test_characters_that_names_may_not_hold(
        self, forge: Forge, name: str, stream: str, code: str
    ) -> None:
        assert refused(modulemd=ONE, module_name=name, module_stream=stream).code == code

    def test_the_notes_of_the_service_are_no_authors_to_write(self, forge: Forge) -> None:
        text = ONE + "  xmd: {mbs: {commit: abc}}\n"
        assert refused(scmurl=forge.module("tiny", text)).code == "reserved_xmd"

    def test_a_dependency_that_is_not_there(self, forge: Forge) -> None:
        text = document({"alpha": ""}, "[f99]")
        assert refused(scmurl=forge.module("tiny", text)).code == "unknown_base_module"


class TestRequest:
    """What contradicts itself, or is switched off."""

    @pytest.mark.parametrize(
        ("values", "error", "code"),
        [
            ({}, InvalidInput, "missing_scmurl"),
            ({"scmurl": "u", "branch": ""}, InvalidInput, "missing_branch"),
            ({"scmurl": "u", "module_name": "n"}, InvalidInput, "name_with_scmurl"),
            ({"scmurl": "u", "module_stream": "n"}, InvalidInput, "name_with_scmurl"),
            ({"scmurl": "u", "modulemd": "d"}, InvalidInput, "scmurl_with_yaml"),
            ({"scmurl": "u", "srpms": ["cli-build/1/a.src.rpm"]}, Forbidden, "srpms_without_scratch"),
            (
                {"scmurl": "u", "scratch": True, "srpms": ["cli-build/1/a.src.rpm"]},
                NotSupported,
                "srpms_not_supported",
            ),
            ({"scmurl": "u", "side_tag": "s"}, NotSupported, "side_tag_not_supported"),
            ({"scmurl": "u", "rebuild_strategy": "all"}, InvalidInput, "strategy_not_overridable"),
        ],
    )
    def test_conflicting_options_are_refused(
        self, forge: Forge, values: dict[str, Any], error: type[MBSError], code: str
    ) -> None:
        found = refused(**values)
        assert (type(found), found.code) == (error, code)

    def test_scratch_builds_may_be_switched_off(self, forge: Forge, option: Options) -> None:
        option(MODULES_ALLOW_SCRATCH=False)
        assert refused(scmurl="u", scratch=True).code == "scratch_not_allowed"

    @pytest.mark.parametrize("scratch", [False, True])
    def test_documents_need_leave_or_an_allowed_scratch_build(
        self, forge: Forge, sent: list[int], option: Options, scratch: bool
    ) -> None:
        option(YAML_SUBMIT_ALLOWED=False, MODULES_ALLOW_SCRATCH=True)
        values = {"modulemd": ONE, "module_name": "tiny", "module_stream": "1", "scratch": scratch}
        if scratch:
            assert submitted(**values)
        else:
            assert refused(**values).code == "yaml_not_allowed"

    def test_branches_for_scratch_builds_only(self, forge: Forge, option: Options) -> None:
        option(SCRATCH_BUILD_ONLY_BRANCHES=("^private-",), MODULES_ALLOW_SCRATCH=True)
        assert refused(scmurl="u", branch="private-x").code == "scratch_only_branch"

    def test_a_strategy_that_is_not_allowed(self, forge: Forge, option: Options) -> None:
        option(REBUILD_STRATEGY_ALLOW_OVERRIDE=True, REBUILD_STRATEGIES_ALLOWED=("only-changed",))
        assert refused(scmurl="u", rebuild_strategy="all").code == "strategy_not_allowed"
        assert refused(scmurl="u", rebuild_strategy="sometimes").code == "strategy_not_allowed"


def test_a_fault_while_recording_leaves_nothing_behind(
    forge: Forge, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    module_build(name="other")
    monkeypatch.setattr(
        "builds.services.submission.recording.dispatch.advance",
        lambda _: os.path.join(None),
    )
    before = everything()
    with pytest.raises(TypeError):
        submission.submit(
            submission.SubmissionRequest(owner="anna", branch="1", scmurl=forge.module("tiny", ONE))
        )
    assert everything() == before
