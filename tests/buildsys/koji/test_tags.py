"""The two tags of a module and their content."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import pytest

from buildsys.base import BuildSystemError, Module
from buildsys.koji import tagging
from buildsys.koji.tags import target
from mbs.macros import PACKAGE
from tests.buildsys.koji.double import HubDouble
from tests.buildsys.koji.double.state import TASK
from tests.buildsys.packages import DOCUMENT
from tests.buildsys.rigs import KojiRig

WRITES = ("create", "edit", "set", "packageList", "group", "delete")


class Killed(Exception):
    """The worker died."""


def _writes(double: HubDouble) -> list[str]:
    return [method for request in double.log for method in request if method.startswith(WRITES)]


def _shape(double: HubDouble) -> object:
    """Everything about tags that does not depend on when it was done."""
    tags = {
        tag.name: (tag.arches, tag.perm, tag.extra, tag.packages, tag.groups, tag.parents)
        for tag in double.books.tags.values()
    }
    return tags, {name: row["dest_tag_name"] for name, row in double.books.targets.items()}


def test_two_round_trips_prepare_a_module_and_one_finds_nothing_to_do(rig: KojiRig) -> None:
    module = rig.module(groups={"build": ("bash", "gcc"), "srpm-build": ("bash",)})
    assert len(rig.double.log) == 2
    before = _shape(rig.double)
    rig.double.log.clear()
    rig.system.prepare(module, ["one", "two", "fails-always"])
    assert (len(rig.double.log), _writes(rig.double)) == (1, [])
    assert _shape(rig.double) == before


def test_tags_are_created_as_in_the_contract(rig: KojiRig) -> None:
    module = rig.module(groups={"build": ("gcc",)})
    tags = rig.double.books.tags
    build, final = tags[f"{module.tag}-build"], tags[module.tag]
    assert (build.arches, build.perm) == (final.arches, final.perm) == ("x86_64 aarch64", "module-tags")
    assert set(build.packages) == {"one", "two", "fails-always", PACKAGE}
    assert set(final.packages) == {"one", "two", "fails-always"}
    assert build.groups == {"build": {"gcc"}}
    assert [link["parent_id"] for link in build.parents] == [tags["platform-build"].id]
    assert not final.parents
    assert rig.double.books.targets[module.tag]["build_tag_name"] == build.name


def test_required_modules_are_inherited_in_their_order(rig: KojiRig) -> None:
    admin = rig.double.callers["kojiadmin"]
    for name in ("module-perl", "module-ant"):
        rig.double.createTag(admin, name)
    requires = {name: {"koji_tag": f"module-{name}"} for name in ("perl", "ant")}
    module = rig.module(buildrequires={**requires, "platform": {"koji_tag": "platform-build"}})
    names = [link["name"] for link in rig.double.getInheritanceData(admin, f"{module.tag}-build")]
    assert names == ["module-perl", "module-ant", "platform-build"]
    rig.system.prepare(replace(module, buildrequires=dict(reversed(module.buildrequires.items()))), ["one"])
    names = [link["name"] for link in rig.double.getInheritanceData(admin, f"{module.tag}-build")]
    assert names == ["platform-build", "module-ant", "module-perl"]


def test_a_required_module_without_a_tag_is_named(rig: KojiRig) -> None:
    with pytest.raises(BuildSystemError, match="no tag module-gone") as caught:
        rig.module(buildrequires={"gone": {"koji_tag": "module-gone"}})
    assert caught.value.code == "koji_tag_missing"
    assert "module-tiny-1-1-c0ffee12" not in rig.double.books.tags


def test_the_document_may_change_options_and_block_packages(rig: KojiRig) -> None:
    options = "  xmd: {mbs_options: {repo_include_all: 'false', blocked_packages: [two, kernel]}}\n"
    rig.module(modulemd=DOCUMENT.replace("  profiles:\n", options + "  profiles:\n"))
    build = rig.double.books.tags["module-tiny-1-1-c0ffee12-build"]
    assert build.extra["repo_include_all"] is False
    assert {name for name, row in build.packages.items() if row["blocked"]} == {"kernel"}


def test_a_whitelist_takes_the_place_of_the_components(rig: KojiRig) -> None:
    text = DOCUMENT.replace("    rpms:\n      macros", "    rpms:\n      whitelist: [scl-one]\n      macros")
    module = rig.module(modulemd=text)
    assert set(rig.double.books.tags[module.tag].packages) == {"scl-one"}


def test_a_target_with_a_long_name_is_hashed(rig: KojiRig) -> None:
    long = rig.module(stream="x" * 60, tag=f"module-tiny-{'x' * 60}-1-c0ffee12")
    assert len(target(long)) <= 50
    assert rig.double.books.targets[target(long)]["dest_tag_name"] == long.tag
    assert rig.system.prepared() == [long.tag]
    rig.system.retire([long.tag])
    assert rig.system.prepared() == []


@pytest.mark.parametrize("survivors", range(0, 16, 3))
def test_a_hub_that_did_only_part_of_it_is_brought_to_the_same_end(rig: KojiRig, survivors: int) -> None:
    """Older hubs, and people, leave any part of the work undone."""
    groups = {"build": ("gcc", "make"), "srpm-build": ("bash",)}
    seen = 0

    def die(method: str, args: tuple[object, ...]) -> None:
        nonlocal seen
        if method.startswith(WRITES):
            seen += 1
            if seen > survivors:
                raise Killed

    rig.double.faults.watch = die
    with pytest.raises(BuildSystemError):
        rig.module(groups=groups)
    rig.double.faults.watch = None
    module = rig.module(groups=groups)
    whole = _shape(rig.double)
    rig.system.prepare(module, ["one", "two", "fails-always"])
    assert _shape(rig.double) == whole
    assert set(rig.double.books.tags[f"{module.tag}-build"].groups["build"]) == {"gcc", "make"}


def test_somebody_who_prepares_the_same_module_at_the_same_moment_is_no_error(rig: KojiRig) -> None:
    admin = rig.double.callers["kojiadmin"]

    def be_faster(method: str, args: tuple[object, ...]) -> None:
        if method == "createTag":
            rig.double.faults.watch = None
            rig.double.createTag(admin, args[0], arches="x86_64 aarch64", perm="module-tags")

    rig.double.faults.watch = be_faster
    module = rig.module()
    assert {module.tag, f"{module.tag}-build"} <= set(rig.double.books.tags)


# -- tagging ----------------------------------------------------------------------------------------------


def _built(rig: KojiRig) -> tuple[Module, list[str]]:
    module = rig.module()
    nvrs = [rig.build(rig.job(module, 1, "one")), rig.build(rig.job(module, 2, "two"))]
    rig.double.log.clear()
    return module, nvrs


def test_tagging_many_builds_takes_two_round_trips(rig: KojiRig) -> None:
    module, nvrs = _built(rig)
    rig.system.tag(module, nvrs)
    assert [method for request in rig.double.log for method in request].count("tagBuild") == 4
    assert len(rig.double.log) == 2


def test_builds_that_are_being_tagged_are_not_tagged_again(rig: KojiRig) -> None:
    module, nvrs = _built(rig)
    rig.double.books.seconds["tagBuild"] = 3600
    for _ in range(3):
        rig.system.tag(module, nvrs)
    tasks = [task for task in rig.double.books.tasks.values() if task.method == "tagBuild"]
    assert len(tasks) == 4


def test_two_concurrent_taggings_only_leave_a_failed_task(
    rig: KojiRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, nvrs = _built(rig)
    read = tagging._read(rig.system.hub, [f"{module.tag}-build", module.tag], nvrs, owner="", put_back=True)
    with monkeypatch.context() as patch:
        # Both have looked before either has asked.
        patch.setattr(tagging, "_read", lambda *_, **__: read)
        for _ in range(2):
            rig.system.tag(module, nvrs)
    rig.tag(module, nvrs)
    tasks = [task for task in rig.double.books.tasks.values() if task.method == "tagBuild"]
    assert Counter(task.state for task in tasks) == {TASK["CLOSED"]: 4, TASK["FAILED"]: 4}
    assert all("already tagged" in str(task.fault) for task in tasks if task.fault)
    assert len(rig.double.books.tags[module.tag].listing) == 2
    assert rig.system.tag(module, nvrs).final == set(nvrs), "they do not count as refusals"


def test_a_tagging_that_fails_is_tried_again_but_not_for_ever(rig: KojiRig) -> None:
    module, nvrs = _built(rig)
    rig.double.faults.tag_fails = 2
    rig.tag(module, nvrs[:1], final=False)
    rig.double.faults.tag_fails = 100
    with pytest.raises(BuildSystemError, match="failed to tag two-1") as caught:
        rig.tag(module, nvrs[1:], final=False)
    assert caught.value.code == "koji_tag_refused"
    rig.double.faults.tag_fails = 0
    with pytest.raises(BuildSystemError, match="failed to tag"):
        rig.system.tag(module, nvrs[1:], final=False)
    rig.tag(replace(module, since=time.time()), nvrs[1:], final=False)


def test_a_package_that_is_not_listed_is_refused_at_once(rig: KojiRig) -> None:
    module, nvrs = _built(rig)
    with rig.double.lock:
        del rig.double.books.tags[module.tag].packages["one"]
    with pytest.raises(BuildSystemError, match="not in list"):
        rig.system.tag(module, nvrs)


def test_the_macros_package_is_in_every_buildroot_once_it_is_tagged(rig: KojiRig) -> None:
    module = rig.module()
    with rig.double.lock:
        rig.double.books.tags[f"{module.tag}-build"].listing.clear()
    for _ in range(2):
        rig.system.tag(module, [f"{PACKAGE}-0.1-1.{module.disttag}"], final=False)
    groups = rig.double.books.tags[f"{module.tag}-build"].groups
    assert groups.get("build", set()) | {"bash"} == {PACKAGE, "bash"}
    assert PACKAGE in {
        each["package"]
        for group in rig.double.getTagGroups(rig.double.callers["mbs"], f"{module.tag}-build")
        for each in group["packagelist"]
        if group["name"] == "srpm-build"
    }
