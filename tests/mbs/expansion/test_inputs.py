"""Overrides of streams and static contexts."""

from __future__ import annotations

import pytest

from mbs.errors import InvalidInput, Unprocessable
from mbs.expansion import Request, Settings
from mbs.modulemd import parse_streams
from tests.mbs.expansion.universes import base, combinations, document, lists, module, run

F29, F30 = base("f29"), base("f30")
GTK = [module("gtk:1:1:a"), module("gtk:2:1:b")]


def streams_of(found):
    return [build.base.stream for build in found.builds]


class TestOverrides:
    def test_replace_the_documents_streams(self):
        request = Request(buildrequire_overrides={"platform": ["f29"]}, require_overrides={"gtk": ["1", "3"]})
        [build] = run(document({"platform": ["f30"]}, {"gtk": ["1"]}), F29, F30, request=request).builds
        [dependencies] = build.document.dependencies
        assert (dependencies.buildrequires, dependencies.requires) == (
            {"platform": ["f29"]},
            {"gtk": ["1", "3"]},
        )

    def test_apply_to_every_list_that_names_the_module(self):
        request = Request(buildrequire_overrides={"gtk": ["2"]})
        wanted = lists(
            ({"platform": ["f30"], "gtk": ["1"]}, {}),
            ({"platform": ["f30"]}, {}),
        )
        assert combinations(run(wanted, F30, *GTK, request=request)) == {
            frozenset({"platform:f30", "gtk:2"}),
            frozenset({"platform:f30"}),
        }

    @pytest.mark.parametrize("kind", ["buildrequire_overrides", "require_overrides"])
    def test_that_name_no_dependency_are_refused(self, kind):
        request = Request(**{kind: {"platform": ["f30"], "qt": ["5"], "kde": ["1"]}})
        with pytest.raises(InvalidInput, match=r"does not list: kde, qt\.") as error:
            run(document({"platform": ["f30"]}, {"platform": ["f30"]}), F30, request=request)
        assert (error.value.code, error.value.hint) == ("unknown_override", "It lists platform.")

    def test_are_reported_in_the_trace(self):
        request = Request(buildrequire_overrides={"platform": ["f29"]})
        steps = run(document({"platform": ["f30"]}), F29, F30, request=request).trace
        assert [step.message for step in steps if step.code == "override"] == [
            "The request sets the buildrequires of platform to [f29]."
        ]


class TestBranches:
    settings = Settings(branch_regexes=(r"(?:rhel-)(\d+)()?$", r"^(el)(?:-)(\d\.\d\.\d)$", "^f29-.*$"))

    def run(self, branch, **request):
        bases = [base("8"), base("el8.1.0"), F29, F30]
        return run(
            document({"platform": ["f30"]}),
            *bases,
            settings=self.settings,
            request=Request(branch=branch, **request),
        )

    def test_groups_of_the_first_expression_found_make_the_stream(self):
        assert streams_of(self.run("stream-rhel-8")) == ["8"]
        assert streams_of(self.run("el-8.1.0")) == ["el8.1.0"]

    def test_empty_groups_and_other_branches_change_nothing(self):
        assert streams_of(self.run("f29-stable")) == ["f30"]
        assert streams_of(self.run("master")) == ["f30"]

    def test_the_request_has_precedence(self):
        assert streams_of(self.run("stream-rhel-8", buildrequire_overrides={"platform": ["f29"]})) == ["f29"]

    def test_a_module_that_is_not_buildrequired_is_no_error(self):
        settings = Settings(branch_module="gtk", branch_regexes=("(.*)",))
        found = run(document({"platform": ["f30"]}), F30, settings=settings, request=Request(branch="master"))
        assert streams_of(found) == ["f30"]


PACKAGER = """
document: modulemd-packager
version: 3
data:
  name: app
  stream: "1"
  summary: App
  description: App
  license: [MIT]
  configurations:
  - {context: A1, platform: f29, buildrequires: {gtk: ["1"]}, requires: {gtk: ["1"]}}
  - {context: B2, platform: f30, buildrequires: {gtk: ["2"]}, requires: {gtk: ["2"]}}
"""


class TestStaticContexts:
    def test_of_packager_documents_are_kept(self):
        gtk = [module("gtk:1:1:a", on="f29"), module("gtk:2:1:b")]
        found = run(parse_streams(PACKAGER, strict=True), F29, F30, *gtk)
        assert [(build.context, build.base.stream) for build in found.builds] == [
            ("A1", "f29"),
            ("B2", "f30"),
        ]
        assert all(build.document.mbs["static_context"] == "true" for build in found.builds)
        assert len({build.contexts.context for build in found.builds}) == 2

    def test_of_streams_are_kept(self):
        wanted = document({"platform": ["f30"]}, static_context=True, context="mine_1")
        assert [build.context for build in run(wanted, F30).builds] == ["mine_1"]

    def test_of_earlier_builds_are_kept(self):
        wanted = document({"platform": ["f30"]}, context="mine", xmd={"mbs": {"static_context": "true"}})
        assert [build.context for build in run(wanted, F30).builds] == ["mine"]

    def test_in_xmd_replace_the_dependencies(self):
        contexts = {
            "one": {"buildrequires": {"platform": "f30", "gtk": "1"}, "requires": {"gtk": "1"}},
            "two": {"buildrequires": {"platform": "f30", "gtk": "2"}, "requires": {}},
        }
        wanted = document({"platform": []}, xmd={"mbs_options": {"contexts": contexts, "other": "x"}})
        found = run(wanted, F29, F30, *GTK)
        assert {build.context: build.document.dependencies[0].requires for build in found.builds} == {
            "one": {"gtk": ["1"]},
            "two": {},
        }
        assert all(build.document.xmd["mbs_options"] == {"other": "x"} for build in found.builds)

    @pytest.mark.parametrize(
        ("contexts", "complaint"),
        [
            ("x", "must map contexts"),
            ({}, "must map contexts"),
            ({"a b": {}}, "'a b' is not a context"),
            ({"a" * 14: {}}, "is not a context"),
            ({"a": {"requires": {}}}, "a needs buildrequires and requires"),
            ({"a": {"requires": [], "buildrequires": {}}}, "a.requires must map"),
            ({"a": {"requires": {"x": "-1"}, "buildrequires": {}}}, "a.requires.x must name one stream"),
            (
                {"a": {"requires": {}, "buildrequires": {"x": ["1"]}}},
                "a.buildrequires.x must name one stream",
            ),
        ],
    )
    def test_in_xmd_must_be_well_formed(self, contexts, complaint):
        with pytest.raises(Unprocessable, match=complaint) as error:
            run(document({"platform": []}, xmd={"mbs_options": {"contexts": contexts}}), F30)
        assert error.value.code == "invalid_static_contexts"

    def test_that_stand_for_two_builds_of_one_name_are_refused(self):
        wanted = document({"platform": ["f30"], "gtk": ["1", "2"]}, static_context=True, context="mine")
        with pytest.raises(Unprocessable, match=r"mine means more than one build: .*gtk:1.*gtk:2") as error:
            run(wanted, F30, *GTK)
        assert error.value.code == "duplicate_context"

    def test_may_be_the_same_on_several_base_modules_because_the_versions_differ(self):
        wanted = document({"platform": []}, static_context=True, context="mine")
        assert streams_of(run(wanted, F29, F30)) == ["f29", "f30"]

    def test_a_context_that_the_author_did_not_fix_is_computed_anew(self):
        assert run(document({"platform": ["f30"]}, context="old"), F30).builds[0].context != "old"


def test_absurdly_long_lists_are_refused():
    wanted = document({"platform": ["f30"]} | {f"m{number}": ["1"] for number in range(100)})
    with pytest.raises(Unprocessable, match="101 modules") as error:
        run(wanted, F30)
    assert error.value.code == "too_many_buildrequires"
