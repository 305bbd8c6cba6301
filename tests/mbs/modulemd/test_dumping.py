"""Writing documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbs import modulemd
from mbs.modulemd import (
    Buildopts,
    Dependencies,
    ModulemdError,
    PackagerV2,
    PackagerV3,
    Profile,
    RpmComponent,
    StreamV1,
    StreamV2,
)
from tests.mbs.modulemd.mutants import DATA, as_text, documents, files, mutants

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

#: Every character that a document may hold.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
NAMES = st.lists(TEXT, max_size=3, unique=True).map(sorted)
XMD = st.recursive(
    TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
STREAMS = st.builds(
    StreamV2,
    name=TEXT,
    stream=TEXT,
    version=st.none() | st.integers(1, 2**64 - 1),
    context=TEXT,
    arch=TEXT,
    summary=TEXT,
    description=TEXT,
    module_licenses=st.lists(TEXT, min_size=1, max_size=3, unique=True).map(sorted),
    content_licenses=NAMES,
    xmd=st.dictionaries(TEXT, XMD, max_size=3),
    dependencies=st.lists(
        st.builds(Dependencies, st.dictionaries(TEXT, st.just(["-x", "-y"]), max_size=2)), max_size=2
    ),
    tracker=st.none() | TEXT,
    servicelevels=st.dictionaries(TEXT, st.none() | st.dates(), max_size=2),
    profiles=st.dictionaries(TEXT, st.builds(Profile, NAMES, st.none() | TEXT, st.booleans()), max_size=2),
    api_rpms=NAMES,
    demodularized_rpms=NAMES,
    buildopts=st.builds(Buildopts, st.none() | TEXT, NAMES),
    rpm_components=st.dictionaries(TEXT, st.integers(-(2**63), 2**63 - 1), max_size=3).map(
        lambda orders: {
            key: RpmComponent(key, rationale=key, ref=None, buildorder=order) for key, order in orders.items()
        }
    ),
)


@pytest.mark.parametrize("path", files(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_real_documents_survive(path: Path) -> None:
    read = modulemd.parse(path.read_bytes(), strict=True)
    assert modulemd.parse(modulemd.dump_all(read), strict=True) == read
    for document in read:
        streams = modulemd.upgrade(document)
        assert not streams or modulemd.parse(modulemd.dump_all(streams), strict=True) == streams


@QUICK
@given(document=STREAMS)
def test_every_stream_survives(document: StreamV2) -> None:
    assert modulemd.parse(modulemd.dump(document), strict=True) == [document]


@QUICK
@given(document=mutants([each for path in files() if path.parent == DATA for each in documents(path)]))
def test_whatever_is_read_survives(document: Any) -> None:
    try:
        read = modulemd.parse(as_text(document), strict=False)
    except ModulemdError:
        return
    assert modulemd.parse(modulemd.dump_all(read), strict=False) == read


@QUICK
@given(text=st.binary(max_size=60) | TEXT | st.text("[]{}:,-&*!|>'\"%@`#? \n\tab", max_size=60))
def test_nothing_but_a_modulemd_error_comes_out(text: str | bytes) -> None:
    with pytest.raises(ModulemdError):
        modulemd.parse(text, strict=True)


@pytest.mark.parametrize(
    "text", ["1.10", "0777", "no", "Y", "2018-01-01", "1e5", "0o17", ".inf", "~", "TRUE"]
)
def test_text_that_looks_like_something_else_is_quoted(text: str) -> None:
    document = StreamV2(name="n", stream=text, summary="s", description="d", module_licenses=["MIT"])
    assert f'stream: "{text}"' in modulemd.dump(document)


def test_macros_stay_readable() -> None:
    document = modulemd.parse_stream((DATA / "stream_v2.yaml").read_bytes(), strict=True)
    assert "macros: |\n        %oven gas\n        %degrees 220\n" in modulemd.dump(document)


def test_v1_is_upgraded() -> None:
    (old,) = modulemd.parse((DATA / "stream_v1.yaml").read_bytes(), strict=True)
    assert isinstance(old, StreamV1)
    (new,) = modulemd.upgrade(old)
    assert new.dependencies == [
        Dependencies({"platform": ["f26"], "oven": ["wood"]}, {"platform": ["f26"]}),
    ]
    assert new.servicelevels == old.servicelevels
    assert str(new.servicelevels["rawhide"]) == "2019-12-31"
    assert new.rpm_components == old.rpm_components


def test_packager_v2_is_upgraded() -> None:
    (old,) = modulemd.parse((DATA / "packager_v2.yaml").read_bytes(), strict=True)
    assert isinstance(old, PackagerV2)
    (new,) = modulemd.upgrade(old)
    assert new.dependencies == [Dependencies({"platform": []}, {"platform": []})]
    assert new.rpm_components["bread"].buildafter == ["oven", "yeast"]


def test_packager_v3_makes_one_stream_for_each_configuration() -> None:
    (old,) = modulemd.parse((DATA / "packager_v3.yaml").read_bytes(), strict=True)
    assert isinstance(old, PackagerV3)
    gas, electric = modulemd.upgrade(old)
    assert (gas.context, gas.static_context) == ("GAS1", True)
    assert gas.dependencies == [
        Dependencies({"platform": ["f32"], "oven": ["gas"]}, {"platform": ["f32"], "oven": ["gas"]})
    ]
    assert gas.buildopts.arches == ["x86_64"]
    assert electric.dependencies == [Dependencies({"platform": ["f33"]}, {"platform": ["f33"]})]
    assert electric.buildopts == Buildopts()
    assert gas.module_licenses == ["MIT"]
    assert not gas.profiles["default"].default


def test_upgraded_streams_share_nothing() -> None:
    (old,) = modulemd.parse((DATA / "packager_v3.yaml").read_bytes(), strict=True)
    gas, electric = modulemd.upgrade(old)
    gas.rpm_components["bread"].ref = "changed"
    gas.xmd["mbs"] = {}
    assert electric.rpm_components["bread"].ref is None
    assert electric.xmd == {"note": "text"}
    assert modulemd.upgrade(old)[0].rpm_components["bread"].ref is None


def test_documents_that_are_no_streams_have_nothing_to_upgrade() -> None:
    for document in modulemd.parse((DATA / "others.yaml").read_bytes(), strict=True):
        assert modulemd.upgrade(document) == []
