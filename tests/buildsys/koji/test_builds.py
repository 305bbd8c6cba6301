"""Builds of components on a hub: requests, adoption, and the number of round trips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from buildsys.base import BuildSystemError, Job, Module, Submission, TaskState
from mbs import macros
from tests.buildsys.rigs import KojiRig, koji_system


def _requests(rig: KojiRig) -> list[list[object]]:
    return [task.request for task in rig.double.books.tasks.values() if task.method == "build"]


def test_a_build_is_requested_as_in_the_contract(rig: KojiRig) -> None:
    module = rig.module()
    rig.system.submit([replace(rig.job(module, 1, "one"), arches=("aarch64",))])
    ((source, target, options),) = _requests(rig)
    assert source == f"git+https://git.example.org/rpms/one?#{rig.job(module, 1, 'one').source[-40:]}"
    assert target == module.tag
    assert options == {"skip_tag": True, "mbs_artifact_name": "one", "mbs_module_target": module.tag}


def test_a_component_for_fewer_architectures_has_a_build_tag_of_its_own(rig: KojiRig, tmp_path: Path) -> None:
    module = rig.module()
    system = koji_system(rig.double, tmp_path, limits_arches=True)
    jobs = [replace(rig.job(module, 1, "one"), arches=("aarch64", "s390x")), rig.job(module, 2, "two")]
    for _ in range(2):
        submissions = system.submit(jobs)
    (_, limited, options), (_, other, _) = _requests(rig)
    assert (options["mbs_module_target"], options["wait_repo"], other) == (module.tag, True, module.tag)
    names = rig.double.books.targets[limited]
    assert (names["build_tag_name"], names["dest_tag_name"]) == (f"{module.tag}-aarch64-build", module.tag)
    tag = rig.double.books.tags[f"{module.tag}-aarch64-build"]
    parent = rig.double.books.tags[f"{module.tag}-build"]
    assert (tag.arches, tag.perm, tag.extra) == ("aarch64", "module-tags", parent.extra)
    assert [link["parent_id"] for link in tag.parents] == [parent.id]
    (status, _) = rig.end(submissions)
    assert status.nvr == f"one-1.0-1.{module.disttag}"
    assert system.prepared() == [module.tag]
    system.retire([module.tag])
    assert not rig.double.books.targets


def test_the_double_refuses_arch_override_as_builders_do(rig: KojiRig) -> None:
    module = rig.module()
    options = {"arch_override": "aarch64"}
    number = rig.double.build(rig.double.callers["mbs"], f"git://x/one#{'0' * 40}", module.tag, options)
    (status,) = rig.end([Submission(number)])
    assert status.reason == "arch_override is only allowed for scratch builds"


def test_a_batch_takes_two_round_trips_however_large_it_is(rig: KojiRig) -> None:
    module = rig.module()
    rig.double.log.clear()
    submissions = rig.system.submit([rig.job(module, n, f"package{n}") for n in range(300)])
    assert len(rig.double.log) == 2
    rig.double.log.clear()
    rig.system.statuses([each.task_id for each in submissions])
    assert len(rig.double.log) <= 2


def test_a_thousand_open_tasks_are_asked_about_in_one_multicall(rig: KojiRig) -> None:
    rig.double.books.seconds["build"] = 3600
    module = rig.module()
    submissions = rig.system.submit([rig.job(module, n, f"package{n}") for n in range(1000)])
    rig.double.log.clear()
    statuses = rig.system.statuses([each.task_id for each in submissions])
    assert {status.state for status in statuses} == {TaskState.OPEN}
    assert len(rig.double.log) == 1


def _macros_job(module: Module) -> Job:
    return Job(9, 1, module, macros.PACKAGE, spec=macros.spec_for(module))


def test_the_macros_package_is_built_from_an_upload(rig: KojiRig) -> None:
    module = replace(rig.module(), disttag="module+el9+8+0a1b2c3d")
    nvr = rig.build(_macros_job(module))
    assert nvr == f"{macros.PACKAGE}-0.1-1.{module.disttag}"
    ((source, target, _),) = _requests(rig)
    folder, name = str(source).rsplit("/", 1)
    assert folder.startswith("cli-build/")
    assert rig.double.books.uploads[folder][name][:4] == b"\xed\xab\xee\xdb", "a source RPM"
    assert target == module.tag


def test_the_macros_package_may_have_a_target_of_its_own(rig: KojiRig, tmp_path: Path) -> None:
    rig.double.books.seconds["build"] = 3600
    module = replace(rig.module(), disttag="module+el9+8+0a1b2c3d")
    system = koji_system(rig.double, tmp_path, macros_target="macros-target")
    system.submit([_macros_job(module), rig.job(module, 1, "one")])
    assert [request[1] for request in _requests(rig)] == ["macros-target", module.tag]
    assert system.submit([_macros_job(module)])[0].task_id == 1, "it is adopted all the same"


def test_the_component_shows_that_the_hub_forbids_uploaded_sources(rig: KojiRig) -> None:
    rig.double.books.users["mbs"]["srpms"] = False
    module = replace(rig.module(), disttag="module+el9+8+0a1b2c3d")
    (status,) = rig.end(rig.system.submit([_macros_job(module)]))
    assert status.state is TaskState.FAILED
    assert "build_from_srpm" in status.reason


def test_a_task_that_died_of_an_accident_gives_its_last_line_as_the_reason(rig: KojiRig) -> None:
    (status,) = rig.end(rig.system.submit([rig.job(rig.module(), 1, "one-missing")]))
    assert status.state is TaskState.FAILED
    assert status.reason.startswith("no such repository: git+https://")


def test_a_build_that_somebody_put_into_the_buildroot_is_adopted(rig: KojiRig) -> None:
    module = rig.module()
    with rig.double.lock:
        by_hand = rig.double.books.new_build("one-9-9.by_hand", "COMPLETE", task_id=4711)
        rig.double.put(rig.double.books.tags[f"{module.tag}-build"], by_hand)
    assert [each.task_id for each in rig.system.submit([rig.job(module, 1, "one")])] == [4711]


def test_packages_whose_names_begin_alike_are_distinguished(rig: KojiRig) -> None:
    module = rig.module()
    rig.build(rig.job(module, 1, "one-more"))
    assert rig.system.find([rig.job(module, 2, "one")]) == [None]


def test_builds_of_another_module_or_user_are_not_adopted(rig: KojiRig) -> None:
    rig.double.books.seconds["build"] = 3600
    module, other = rig.module("1"), rig.module("2")
    rig.system.submit([rig.job(other, 1, "one")])
    stranger = rig.double.callers["kojiadmin"]
    options = {"mbs_artifact_name": "one", "mbs_module_target": module.tag}
    rig.double.build(stranger, "git+https://git.example.org/one?#0", module.tag, options)
    assert rig.system.find([rig.job(module, 2, "one")]) == [None]


def test_abandoning_a_module_cancels_tasks_that_were_not_recorded(rig: KojiRig) -> None:
    rig.double.books.seconds["build"] = 3600
    module, other = rig.module("1"), rig.module("2")
    mine = rig.system.submit([rig.job(module, 1, "one"), rig.job(module, 2, "two")])
    theirs = rig.system.submit([rig.job(other, 3, "one")])
    rig.system.abandon(module)
    states = [status.state.value for status in rig.system.statuses([s.task_id for s in [*mine, *theirs]])]
    assert states == ["canceled", "canceled", "open"]


def test_canceling_the_task_of_another_user_is_refused(rig: KojiRig) -> None:
    rig.double.books.seconds["build"] = 3600
    number = rig.double.build(rig.double.callers["kojiadmin"], "git+https://x/one?#0", "t")
    with pytest.raises(BuildSystemError, match="not owner"):
        rig.system.cancel([number])


def test_the_weight_comes_from_the_last_modular_build_before_the_average(rig: KojiRig) -> None:
    with rig.double.lock:
        make = rig.double.books.new_build
        make("one-1-1", "COMPLETE", task_id=1, creation_ts=0, start_ts=0, completion_ts=1000)
        make("one-1-2.module+1", "COMPLETE", task_id=2, creation_ts=0, start_ts=0, completion_ts=50)
        make("one-1-3.module+2", "COMPLETE", task_id=3, creation_ts=0, start_ts=10, completion_ts=70)
        make("two-1-1", "COMPLETE", task_id=4, creation_ts=0, start_ts=0, completion_ts=200)
    assert rig.system.expected_seconds(["one", "two", "three"]) == {"one": 60, "two": 200}
    assert len(rig.double.log) == 1
