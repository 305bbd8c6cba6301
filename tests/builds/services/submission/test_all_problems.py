"""A refused submission lists all problems of the document, its components and its streams at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mbs.modulemd.errors import MAX_PROBLEMS
from tests.builds.conftest import Forge, document, refused

ONE = document({"alpha": ""})
WHITELIST = "  buildopts: {{rpms: {{whitelist: {}}}}}\n"
Options = Callable[..., None]


def test_independent_faults_are_reported_together(forge: Forge, option: Options) -> None:
    text = document(
        {"alpha": "repository: 'https://example.com/x'", "beta": "cache: 'https://example.com/y'"},
        more="  stream: a-b\n  xmd: {mbs: {}}\n",
    )
    option(ALLOW_DASHES_IN_SVC=False)
    error = refused(modulemd=text)
    assert [(problem.code, problem.key) for problem in error.problems] == [
        ("no_name", "data.name"),
        ("invalid_stream", "data.stream"),
        ("reserved_xmd", "data.xmd.mbs"),
        ("custom_repository", "data.components.rpms.alpha.repository"),
        ("custom_cache", "data.components.rpms.beta.cache"),
    ]


def test_faults_of_streams_and_of_components_are_reported_together(forge: Forge) -> None:
    scmurl = forge.module("tiny", document({"missing": ""}, platforms="[f99]"))
    problems = refused(scmurl=scmurl).problems
    assert ("missing", "repository_unreachable") in {(each.component, each.code) for each in problems}
    assert any("f99" in each.message for each in problems)


SEVEN = """\
document: modulemd
version: 2
data:
  summary: Seven faults
  description: Each of another kind.
  license:
    module: [MIT]
  dependencies:
  - buildrequires:
      platform: [f99]
  profiles:
    default:
      rpm: [one]
  xmd:
    mbs: {}
  components:
    rpms:
      alpha:
        rationale: needed
        ref: --upload-pack=x
      beta:
        rationale: needed
        repository: https://example.com/x
      delta:
        rationale: needed
        buildorder: first
      missing:
        rationale: needed
"""


def test_faults_of_all_kinds_are_reported_together_with_key_line_and_component(forge: Forge) -> None:
    problems = refused(modulemd=SEVEN, module_name="tiny", module_stream="1").problems
    told = {(each.code, each.key.removeprefix("data."), each.line, each.component) for each in problems}
    rpms = "components.rpms"
    assert {
        ("unknown_key", "profiles.default.rpm", 13, ""),
        ("invalid_value", f"{rpms}.delta.buildorder", 26, "delta"),
        ("ref_invalid", f"{rpms}.alpha.ref", 20, "alpha"),
        ("reserved_xmd", "xmd.mbs", 15, ""),
        ("custom_repository", f"{rpms}.beta.repository", 23, "beta"),
        ("repository_unreachable", f"{rpms}.missing", 27, "missing"),
    } == told


def test_with_too_many_faults_to_list_nothing_is_looked_up(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[Any] = []
    monkeypatch.setattr("builds.services.submission.sources.check_components", looked_up.append)
    monkeypatch.setattr("builds.services.submission.sources.expand", looked_up.append)
    components = {f"package{number}": "ref: '-x'" for number in range(MAX_PROBLEMS + 10)}
    problems = refused(modulemd=document(components), module_name="tiny", module_stream="1").problems
    assert {each.code for each in problems} == {"ref_invalid"}
    assert not looked_up


def test_unusable_buildrequires_are_reported_with_faults_of_the_document(forge: Forge) -> None:
    text = document({"missing": ""}, platforms="[f99]", more="  colour: blue\n")
    problems = refused(modulemd=text, module_name="tiny", module_stream="1").problems
    lines = text.splitlines()
    assert {each.code: lines[(each.line or 0) - 1].strip() for each in problems} == {
        "unknown_key": "colour: blue",
        "repository_unreachable": "missing: {rationale: needed}",
        "unknown_base_module": "dependencies:",
    }


def test_a_fault_of_an_included_module_names_the_module_and_its_own_line(forge: Forge) -> None:
    inner = document({"alpha": ""}, more="  api:\n    rpms: ['bad name']\n")
    forge.module("inner", inner)
    outer = document({"beta": ""}, more="    modules:\n      inner: {rationale: needed, ref: '1'}\n")
    (problem,) = refused(modulemd=outer, module_name="tiny", module_stream="1").problems
    assert problem.message.startswith("In the included module inner: data.api.rpms")
    assert (problem.component, problem.key) == ("inner", "data.api.rpms")
    assert inner.splitlines()[(problem.line or 0) - 1] == "    rpms: ['bad name']"


def test_a_fault_of_a_component_of_an_included_module_names_the_module(forge: Forge) -> None:
    forge.module("inner", document({"missing": ""}))
    outer = document({"beta": ""}, more="    modules:\n      inner: {rationale: needed, ref: '1'}\n")
    (problem,) = refused(modulemd=outer, module_name="tiny", module_stream="1").problems
    assert problem.message.startswith("In the included module inner: ")
    assert (problem.component, problem.key) == ("missing", "data.components.modules.inner")
    assert outer.splitlines()[(problem.line or 0) - 1].strip().startswith("inner:")
