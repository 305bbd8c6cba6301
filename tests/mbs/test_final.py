"""The final documents of a finished module."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mbs.errors import Unprocessable
from mbs.final import BuiltRpm, final_documents
from mbs.modulemd import Buildopts, Profile, RpmComponent, StreamV2


def rpm(name: str, arch: str = "x86_64", source: str = "", **facts: object) -> BuiltRpm:
    values: dict[str, object] = {"license": f"of {name}"} | facts
    return BuiltRpm(name, 0, "1", "2", arch, source or name, **values)


def document(*components: RpmComponent, **facts: object) -> StreamV2:
    values = {"name": "m", "stream": "1", "version": 1, "context": "c", "summary": "s", "description": "d"}
    return StreamV2(**values | {"rpm_components": {each.name: each for each in components}} | facts)


def held(doc: StreamV2, *rpms: BuiltRpm, arch: str = "x86_64") -> list[str]:
    """Name and architecture of what the final document lists."""
    nevras = final_documents(doc, rpms, ["x86_64", "aarch64"])[arch].artifact_rpms
    return [nevra.replace("-0:1-2", "") for nevra in nevras]


FOO = RpmComponent("foo")
BAR = RpmComponent("bar")


def test_artifacts_are_the_rpms_of_the_architecture_and_their_sources() -> None:
    rpms = [rpm("foo"), rpm("foo", "aarch64"), rpm("foo", "src"), rpm("foo-doc", "noarch", "foo")]
    result = final_documents(document(FOO), rpms, ["x86_64"])["x86_64"]
    assert result.artifact_rpms == [
        "foo-0:1-2.src",
        "foo-0:1-2.x86_64",
        "foo-doc-0:1-2.noarch",
    ]
    assert result.arch == "x86_64"
    assert result.content_licenses == ["of foo", "of foo-doc"]


def test_epochs_stand_in_artifacts() -> None:
    result = final_documents(document(FOO), [replace(rpm("foo"), epoch=3)], ["x86_64"])
    assert result["x86_64"].artifact_rpms == ["foo-3:1-2.x86_64"]


def test_filtered_rpms_and_those_only_built_with_are_left_out_with_their_sources() -> None:
    doc = document(FOO, BAR, RpmComponent("tool", buildonly=True), filter_rpms=["foo-doc", "bar"])
    rpms = [rpm(name, arch) for name in ("foo", "bar", "tool") for arch in ("x86_64", "src")]
    assert held(doc, *rpms, rpm("foo-doc", "noarch", "foo")) == ["foo.src", "foo.x86_64"]
    assert final_documents(doc, rpms, ["x86_64"])["x86_64"].content_licenses == ["of foo"]


def test_a_package_that_is_no_component_is_left_out() -> None:
    assert held(document(FOO), rpm("foo"), rpm("module-build-macros", "noarch")) == ["foo.x86_64"]


def test_a_component_may_be_known_by_another_key() -> None:
    assert held(document(rpm_components={"key": RpmComponent("foo")}), rpm("foo")) == ["foo.x86_64"]


def test_components_of_included_modules_belong_to_it() -> None:
    doc = document(xmd={"mbs": {"rpms": {"foo": {"ref": "a" * 40}}}})
    assert held(doc, rpm("foo"), rpm("bar")) == ["foo.x86_64"]


def test_a_whitelist_takes_the_place_of_the_components() -> None:
    doc = document(FOO, buildopts=Buildopts(rpm_whitelist=["scl-foo"]))
    assert held(doc, rpm("foo"), rpm("scl-foo")) == ["scl-foo.x86_64"]


def test_multilib_is_only_for_components_that_ask_for_it() -> None:
    doc = document(FOO, RpmComponent("bar", multilib=["x86_64"]))
    rpms = [rpm(name, arch) for name in ("foo", "bar") for arch in ("x86_64", "i686")]
    assert held(doc, *rpms) == ["bar.i686", "bar.x86_64", "foo.x86_64"]


def test_a_component_limited_to_other_architectures_is_left_out() -> None:
    doc = document(FOO, RpmComponent("bar", arches=["aarch64"]))
    rpms = [rpm("foo"), rpm("bar", "noarch"), rpm("bar", "src"), rpm("foo", "aarch64")]
    assert held(doc, *rpms) == ["foo.x86_64"]
    assert held(doc, *rpms, arch="aarch64") == ["bar.noarch", "bar.src", "foo.aarch64"]


def test_packages_that_exclude_an_architecture_are_left_out_there() -> None:
    rpms = [
        rpm("foo", "noarch", excludearch=frozenset({"x86_64"})),
        rpm("bar", "noarch", exclusivearch=frozenset({"x86_64"})),
    ]
    assert held(document(FOO, BAR), *rpms) == ["bar.noarch"]
    assert held(document(FOO, BAR), *rpms, arch="aarch64") == ["foo.noarch"]


def test_debugging_files_follow_what_they_debug() -> None:
    doc = document(FOO, BAR, filter_rpms=["foo-libs", "bar"])
    rpms = [
        rpm("foo"),
        rpm("foo-libs", source="foo"),
        rpm("foo-debuginfo", source="foo"),
        rpm("foo-libs-debuginfo", source="foo"),
        rpm("bar"),
        rpm("bar-debugsource", source="bar"),
    ]
    assert held(doc, *rpms) == ["foo.x86_64", "foo-debuginfo.x86_64"]


def test_debugging_files_of_no_package_follow_their_source() -> None:
    rpms = [rpm("foo-libs", source="foo"), rpm("foo-debugsource", source="foo")]
    assert held(document(FOO), *rpms) == ["foo-debugsource.x86_64", "foo-libs.x86_64"]


def test_the_source_document_lists_the_sources_of_every_architecture() -> None:
    rpms = [rpm("foo"), rpm("foo", "src"), rpm("bar", "aarch64"), rpm("bar", "src")]
    result = final_documents(document(FOO, BAR), rpms, ["x86_64"])["src"]
    assert result.artifact_rpms == ["bar-0:1-2.src", "foo-0:1-2.src"]
    assert result.arch == "src"


def test_the_final_document_keeps_what_users_see_and_drops_what_is_internal() -> None:
    doc = document(
        RpmComponent("foo", repository="https://internal.example.org/foo", cache="https://cache", ref="main"),
        xmd={"mbs": {"commit": "x"}, "theirs": "kept"},
        profiles={"default": Profile(rpms=["foo"])},
        demodularized_rpms=["gone"],
        artifact_rpms=["stale-0:1-1.noarch"],
        content_licenses=["stale"],
    )
    result = final_documents(doc, [rpm("foo")], ["x86_64"])["x86_64"]
    assert result.xmd == {"theirs": "kept"}
    assert result.profiles == doc.profiles
    assert result.demodularized_rpms == ["gone"]
    component = result.rpm_components["foo"]
    assert (component.repository, component.cache, component.ref) == (None, None, "main")
    assert (result.artifact_rpms, result.content_licenses) == (["foo-0:1-2.x86_64"], ["of foo"])
    assert doc.mbs == {"commit": "x"}
    assert doc.rpm_components["foo"].repository


@pytest.mark.parametrize(
    "rpms",
    [
        [BuiltRpm(f"one-{number}", 0, "1", "1", "noarch", "one") for number in range(50_001)],
        [BuiltRpm(f"one-{number}", 0, "1", "1", "noarch", "one", f"{number:08000}") for number in range(140)],
    ],
    ids=["many", "long licenses"],
)
def test_a_module_of_too_many_rpms_is_refused(rpms: list[BuiltRpm]) -> None:
    with pytest.raises(Unprocessable) as caught:
        final_documents(StreamV2(), rpms, ["x86_64"])
    assert caught.value.code == "module_too_large"
