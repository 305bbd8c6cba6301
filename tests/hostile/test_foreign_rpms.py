"""RPMs of another module build, and RPMs that were changed after their build."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from buildsys.base import BuildSystemError, TaskState
from tests.buildsys.packages import DISTTAG, DOCUMENT, Bench, module, spec
from tests.hostile import rpms
from tests.hostile.rpms import digests, leaving, rpm


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "local")


def test_a_reused_build_is_that_of_its_submission_even_if_another_module_built_its_nvr(bench: Bench) -> None:
    nvr = bench.complete(bench.job(2, "one", spec("one")))
    # Everything that a stranger can choose is the same, and the module's folder comes first by name.
    stranger = Bench(bench.root, module=module(id=8, tag="module-aaa-1-1-1"))
    foreign = stranger.complete(stranger.job(3, "one", spec("one", files={"/usr/share/one/name": "foreign"})))
    assert foreign == nvr

    later = Bench(bench.root, module=module(id=9, tag="module-tiny-1-92027-c0ffee12"))
    later.system.tag(later.module, [nvr], task_ids={nvr: 201})
    modules = bench.root / "modules"
    built = digests(bench.root / "tasks" / "201" / "rpms")
    assert digests(modules / later.module.tag / "final" / nvr) == built
    assert digests(modules / stranger.module.tag / "final" / nvr).isdisjoint(built)


@pytest.mark.parametrize("task_ids", [None, {}, {"other-1-1": 201}, "foreign"])
def test_a_build_of_another_module_is_not_found_by_its_nvr(bench: Bench, task_ids: object) -> None:
    nvr = bench.complete(bench.job(2, "one", spec("one")))
    other = bench.build(bench.job(3, "two", spec("two"))).task_id
    later = Bench(bench.root, module=module(id=9, tag="module-tiny-1-92027-c0ffee12"))
    numbers = {nvr: other} if task_ids == "foreign" else task_ids
    with pytest.raises(BuildSystemError) as caught:
        later.system.tag(later.module, [nvr], task_ids=numbers)
    assert caught.value.code == "unknown_build"


def alter(bench: Bench, number: int) -> str:
    """Change a file that a submission built; answers its name."""
    (path,) = (bench.root / "tasks" / str(number) / "rpms").glob("*.noarch.rpm")
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"!")
    return path.name


def test_a_file_that_was_altered_before_it_is_tagged_is_refused(bench: Bench) -> None:
    status = bench.build(bench.job(2, "one", spec("one")))
    name = alter(bench, status.task_id)
    with pytest.raises(BuildSystemError, match=name.replace("+", r"\+")) as caught:
        bench.system.tag(bench.module, [status.nvr])
    assert caught.value.code == "build_altered"
    assert not bench.system.tagged(bench.module, [status.nvr]).buildroot


def test_a_file_that_was_altered_before_it_is_shipped_is_refused(bench: Bench) -> None:
    nvr = bench.complete(bench.job(2, "one", spec("one")))
    name = alter(bench, 201)
    with pytest.raises(BuildSystemError, match=name.replace("+", r"\+")) as caught:
        bench.system.finalize(bench.module, {"one": nvr})
    assert caught.value.code == "build_altered"
    assert not (bench.root / "modules" / bench.module.tag / "repo").exists()


def test_deleted_builds_cannot_be_reused(bench: Bench) -> None:
    status = bench.build(bench.job(2, "one", spec("one")))
    assert bench.system.deleted({201: status.nvr, 301: "two-1-1"}) == {301}
    assert bench.system.deleted({201: "one-2-1"}) == {201}
    (bench.root / "tasks" / "201" / "packages.json").unlink()
    assert bench.system.deleted({201: status.nvr}) == {201}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Release: 1%{?dist}", "Release: 1", "Write 'Release: 1%{?dist}'"),
        ("Release: 1%{?dist}", "Release: 1.module+el9+6+0a1b2c3d", f"without the dist tag {DISTTAG}"),
        ("Release: 1%{?dist}", f"Release: 1.{DISTTAG}9", "without the dist tag"),
        ("Release: 1%{?dist}", f"Release: 1.{DISTTAG}+9", "without the dist tag"),
        ("Name:", "%global modularitylabel victim:1:1:c0ffee12\nName:", "label victim:1:1:c0ffee12"),
        ("Name:", "%undefine modularitylabel\nName:", "label (none)"),
        (
            "%description",
            "%package sub\nSummary: s\nRelease: 1\n%description sub\nd\n%files sub\n%description",
            "release 1,",
        ),
    ],
    ids=[
        "no dist",
        "foreign dist",
        "longer dist",
        "dist with a suffix",
        "foreign label",
        "no label",
        "subpackage",
    ],
)
def test_a_package_of_another_dist_tag_or_label_is_refused(
    bench: Bench, old: str, new: str, said: str
) -> None:
    text = spec("one")
    assert old in text
    status = bench.build(bench.job(2, "one", text.replace(old, new, 1)))
    assert status.state is TaskState.FAILED
    assert said in status.reason


@pytest.mark.parametrize("release", ["1%{?dist}.2", "0.1.rc1%{?dist}", "1%{?dist}_3", "1%{dist}~a"])
def test_the_dist_tag_may_be_anywhere_in_the_release(bench: Bench, release: str) -> None:
    text = spec("one").replace("Release: 1%{?dist}", f"Release: {release}")
    status = bench.build(bench.job(2, "one", text))
    assert status.state is TaskState.COMPLETE, status.reason


def test_subpackages_of_the_module_are_kept(bench: Bench) -> None:
    sub = "%package sub\nSummary: s\n%description sub\nd\n%files sub\n%description"
    status = bench.build(bench.job(2, "one", spec("one").replace("%description", sub, 1)))
    assert status.state is TaskState.COMPLETE, status.reason
    assert len(bench.rpms(status.task_id)) == 3


@pytest.mark.parametrize(
    "values",
    [
        {rpms.RELEASE: "1.module+el9+6+0a1b2c3d"},
        {rpms.LABEL: "victim:1:1:c0ffee12"},
        {rpms.SOURCERPM: "victim-1-1.src.rpm"},
        {rpms.NAME: "victim", rpms.SOURCERPM: f"victim-1-1.{DISTTAG}.src.rpm"},
    ],
    ids=["dist tag", "label", "source package", "source package of the module"],
)
def test_a_crafted_package_of_another_component_is_refused(
    bench: Bench, values: dict[int, rpms.Value]
) -> None:
    crafted = leaving(rpm({rpms.NAME: "one-left", **values}))
    status = bench.build(bench.job(2, "one", spec("one", build=crafted)))
    assert status.state is TaskState.FAILED
    assert not (bench.root / "tasks" / str(status.task_id) / "rpms").exists()


def test_a_source_package_that_the_document_whitelists_may_be_built(bench: Bench) -> None:
    document = DOCUMENT.replace(
        "    rpms:\n      macros:", "    rpms:\n      whitelist: [other]\n      macros:"
    )
    assert document != DOCUMENT
    listed = Bench(bench.root, module=replace(bench.module, modulemd=document))
    assert listed.build(listed.job(2, "one", spec("other"))).state is TaskState.COMPLETE
    status = listed.build(listed.job(3, "two", spec("third")))
    assert status.state is TaskState.FAILED
    assert "buildopts.rpms.whitelist" in status.reason


def test_a_whitelisted_package_with_a_prefix_out_of_the_macros_is_built_and_shipped(bench: Bench) -> None:
    document = DOCUMENT.replace(
        "    rpms:\n      macros: |\n",
        "    rpms:\n      whitelist: [llvm-toolset-7-cmake]\n      macros: |\n"
        "        %scl_prefix llvm-toolset-7-\n",
    ).replace("      one: {", "      cmake: {")
    scl = Bench(bench.root, module=replace(bench.module, modulemd=document))
    scl.complete(scl.macros())
    text = spec("%{?scl_prefix}cmake", files={"/usr/share/cmake/name": "cmake"})
    nvr = scl.complete(scl.job(2, "cmake", text))
    assert nvr == f"llvm-toolset-7-cmake-1-1.{DISTTAG}"
    final = scl.system.finalize(scl.module, {"cmake": nvr})
    (arch,) = scl.module.arches
    assert f"- llvm-toolset-7-cmake-0:1-1.{DISTTAG}.noarch" in final.modulemds[arch]


def test_the_same_package_of_two_components_ends_the_module_with_its_name(bench: Bench) -> None:
    twice = "%package -n twice\nSummary: s\n%description -n twice\nd\n%files -n twice\n%description"
    nvrs = {
        name: bench.complete(bench.job(number, name, spec(name).replace("%description", twice, 1)))
        for number, name in ((2, "one"), (3, "two"))
    }
    with pytest.raises(BuildSystemError) as caught:
        bench.system.finalize(bench.module, nvrs)
    assert caught.value.code == "rpm_twice"
    assert "twice-1-1" in caught.value.message
