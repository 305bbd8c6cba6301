"""A module build on a hub from its first tag to its import, with every step executed twice."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from buildsys.base import (
    AnswerLost,
    BuildSystemError,
    BuildSystemUnavailable,
    Job,
    Module,
    RepoState,
    Result,
    TaskState,
)
from buildsys.koji.system import KojiBuildSystem
from mbs import macros
from mbs.modulemd import parse_stream
from tests.integration.conftest import Setting
from tests.integration.delaying import delaying
from tests.integration.steps import regenerate, with_macros


def test_a_module_is_built_tagged_and_imported(setting: Setting) -> None:
    system, hub = setting.system, setting.system.hub
    module, macros_nvr = with_macros(setting, "whole")
    system.prepare(module, setting.packages)

    build_tag = hub.call("getTag", f"{module.tag}-build")
    assert build_tag["arches"] == "x86_64"
    assert build_tag["extra"]["repo_include_all"] is True
    parents = [link["name"] for link in hub.call("getInheritanceData", build_tag["id"])]
    assert parents == [setting.base_tag]
    groups = {group["name"]: group for group in hub.call("getTagGroups", build_tag["id"])}
    assert {each["package"] for each in groups["build"]["packagelist"]} >= {
        "bash",
        "coreutils",
        macros.PACKAGE,
    }
    assert macros_nvr == f"{macros.PACKAGE}-0.1-1.{module.disttag}"

    jobs = setting.jobs(module, setting.packages)
    submissions = system.submit(jobs)
    assert system.submit(jobs) == submissions, "what is being built is adopted"
    statuses = setting.ended(submissions)
    assert [status.state for status in statuses] == [TaskState.COMPLETE] * len(jobs), statuses
    nvrs = {job.package: status.nvr for job, status in zip(jobs, statuses, strict=True)}
    assert all(nvr.endswith(f".{module.disttag}") for nvr in nvrs.values()), (
        "the macros were in the buildroot"
    )
    assert all(status.started and status.ended for status in statuses)
    assert system.submit(jobs) == submissions, "what is built, though not tagged, is adopted"

    setting.tag(module, list(nvrs.values()), final=True)
    devel = nvrs[setting.packages[0]].replace("-", "-devel-", 1)
    for rpm in (f"{devel}.noarch", f"{devel}.noarch.rpm", nvrs[setting.packages[0]]):
        assert system.tags_holding(rpm) == [module.tag]
    for unknown in (devel, f"{devel}.s390x", "mbstest-never-built-1-1.noarch"):
        assert system.tags_holding(unknown) == []
    regenerate(setting, module, list(nvrs.values()))
    assert system.submit(jobs) == submissions

    first, second = (system.finalize(module, nvrs) for _ in range(2))
    assert first == second
    _check_import(setting, module, nvrs)
    assert first.topdir.endswith(f"/packages/{module.name}/main/{module.version}.c0ffee00/files/module")
    assert first.content_tag.endswith("modular-updates-candidate")
    setting.wait(
        lambda: not system.ship(module, first.content_tag).missing, "the module and its devel module tagged"
    )
    assert _tags_of(setting, module) == {first.content_tag}
    document = parse_stream(first.modulemds["x86_64"], strict=False)
    names = {nevra.rsplit("-", 2)[0] for nevra in document.artifact_rpms}
    assert f"{setting.packages[0]}-devel" not in names
    assert set(setting.packages) <= names
    assert "MIT" in document.content_licenses

    assert system.expected_seconds(setting.packages[:1])[setting.packages[0]] >= 0
    assert module.tag in system.prepared()
    for _ in range(2):
        system.retire([module.tag])
    assert module.tag not in system.prepared()
    for _ in range(2):
        system.discard(module)
    assert not system.tagged(module, list(nvrs.values())).final


def _nvr(module: Module, suffix: str = "") -> str:
    return f"{module.name}{suffix}-{module.stream}-{module.version}.{module.context}"


def _tags_of(setting: Setting, module: Module) -> set[str]:
    return {tag["name"] for tag in setting.system.hub.call("listTags", _nvr(module))}


def _check_import(setting: Setting, module: Module, nvrs: dict[str, str]) -> None:
    hub = setting.system.hub
    build = hub.call("getBuild", _nvr(module))
    info = build["extra"]["typeinfo"]["module"]
    assert info["module_build_service_id"] == module.id
    assert info["content_koji_tag"] == module.tag
    assert build["source"] == f"https://git.example.com/modules/{module.name}#0123456"
    files = {each["filename"] for each in hub.call("listArchives", buildID=build["id"])}
    assert files == {"modulemd.txt", "modulemd.x86_64.txt", "modulemd.src.txt"}
    devel = hub.call("getBuild", _nvr(module, "-devel"))
    assert f"{setting.packages[0]}-devel" in devel["extra"]["typeinfo"]["module"]["modulemd_str"] or devel


def test_a_build_that_cannot_work_fails_with_the_reason(setting: Setting) -> None:
    module, _ = with_macros(setting, "failing")
    good = setting.jobs(module, setting.packages[:1])[0]
    missing = Job(
        good.component_id, 1, module, "mbstest-missing", f"{good.source.split('#')[0]}-missing#{'1' * 40}"
    )
    (status,) = setting.ended(setting.system.submit([missing]))
    assert status.state is TaskState.FAILED
    assert status.reason
    assert status.url.endswith(str(status.task_id))
    assert setting.system.find([missing]) == [None], "a failed build is not adopted"


def test_a_build_can_be_cancelled_and_built_again(setting: Setting) -> None:
    module, _ = with_macros(setting, "cancelled")
    jobs = setting.jobs(module, setting.packages[:1])
    submissions = setting.system.submit(jobs)
    for _ in range(2):
        setting.system.cancel([each.task_id for each in submissions])
    (status,) = setting.system.statuses([submissions[0].task_id])
    assert status.state is TaskState.CANCELED
    again = setting.system.submit(jobs)
    assert again != submissions
    setting.system.abandon(module)
    (status,) = setting.system.statuses([again[0].task_id])
    assert status.state is TaskState.CANCELED


def test_an_unknown_task_is_lost_and_a_package_without_builds_has_no_history(setting: Setting) -> None:
    (status,) = setting.system.statuses([2_000_000_000])
    assert status.state is TaskState.LOST
    assert setting.system.expected_seconds(["mbstest-never-built"]) == {}


def test_a_repository_made_before_the_batch_was_tagged_is_not_believed(setting: Setting) -> None:
    module, macros_nvr = with_macros(setting, "stale")
    old = setting.system.request_repo(module)
    setting.wait(
        lambda: setting.system.repo_status(module, old, []).state is not RepoState.OPEN, "a repository"
    )
    (status,) = setting.ended(setting.system.submit(setting.jobs(module, setting.packages[:1])))
    setting.tag(module, [status.nvr], final=True)
    stale = setting.system.repo_status(module, old, [macros_nvr, status.nvr])
    assert (stale.state, stale.missing) == (RepoState.FAILED, (status.nvr,))
    regenerate(setting, module, [macros_nvr, status.nvr])


def test_the_base_modules_arches_are_those_of_its_tag(setting: Setting) -> None:
    assert "x86_64" in setting.system.arches(setting.module("arches"))


def _with_one_package(setting: Setting, name: str) -> tuple[Module, dict[str, str]]:
    """A module whose first package is built and tagged; package -> NVR."""
    module, _ = with_macros(setting, name)
    package = setting.packages[0]
    (status,) = setting.ended(setting.system.submit(setting.jobs(module, [package])))
    assert status.state is TaskState.COMPLETE, status
    setting.tag(module, [status.nvr], final=True)
    return module, {package: status.nvr}


def test_the_profile_of_the_module_gets_into_the_build_group_with_its_component(setting: Setting) -> None:
    module, _ = _with_one_package(setting, "profile")
    groups = {
        group["name"]: group for group in setting.system.hub.call("getTagGroups", f"{module.tag}-build")
    }
    packages = {name: {each["package"] for each in group["packagelist"]} for name, group in groups.items()}
    assert setting.packages[0] in packages["build"]
    assert setting.packages[0] not in packages["srpm-build"]


def test_a_scratch_build_gets_documents_and_is_neither_imported_nor_tagged(setting: Setting) -> None:
    module, nvrs = _with_one_package(setting, "scratch")
    result = setting.system.finalize(replace(module, scratch=True), nvrs)
    assert set(result.modulemds) == {"x86_64", "src"}
    assert result.content_tag == ""
    assert [setting.system.hub.call("getBuild", _nvr(module, suffix)) for suffix in ("", "-devel")] == [
        None
    ] * 2


def test_a_build_that_was_untagged_is_named_and_tagged_again(setting: Setting) -> None:
    module, nvrs = _with_one_package(setting, "untagged")
    (nvr,) = nvrs.values()
    setting.system.hub.call("untagBuild", module.tag, nvr)
    with pytest.raises(BuildSystemError, match=re.escape(f"{nvr} is no longer in")) as refused:
        setting.system.finalize(module, nvrs)
    assert refused.value.code == "koji_build_gone"
    setting.tag(module, [nvr], final=True)
    assert setting.system.finalize(module, nvrs).content_tag


def test_a_build_that_was_deleted_is_named_and_only_a_new_version_builds_it(setting: Setting) -> None:
    if not setting.admin:
        pytest.skip("no --koji-admin: only administrators delete builds")
    system = setting.system
    module, nvrs = _with_one_package(setting, "deleted")
    ((package, nvr),) = nvrs.items()
    for tag in (module.tag, f"{module.tag}-build"):
        system.hub.call("untagBuild", tag, nvr)
    setting.admin.call("deleteBuild", nvr)
    with pytest.raises(BuildSystemError, match=re.escape(f"{nvr} was deleted")) as refused:
        system.finalize(module, nvrs)
    assert refused.value.code == "koji_build_gone"

    jobs = setting.jobs(module, [package])
    assert system.find(jobs) == [None]
    (status,) = setting.ended(system.submit(jobs))
    assert (status.state, status.infrastructure) == (TaskState.FAILED, False)
    assert re.match(r"Build already exists .*DELETED", status.reason), "the name is never free again"


def _tasks_of(setting: Setting, job: Job) -> set[int]:
    """The newest build tasks of a component."""
    hub = setting.system.hub
    newest = hub.call("listTasks", {"method": "build", "decode": True}, {"order": "-id", "limit": 20})
    marks = (repr(job.package), repr(job.module.tag))
    return {task["id"] for task in newest if all(mark in str(task["request"]) for mark in marks)}


def test_a_request_that_the_hub_gets_late_builds_nothing_twice(setting: Setting, tmp_path: Path) -> None:
    system = setting.system
    module, _ = with_macros(setting, "late")
    jobs = setting.jobs(module, setting.packages[:1])
    with delaying(system.hub.profile["server"], tmp_path) as delays:
        access = system.options.access
        access = replace(access, config=delays.config, profile=delays.profile, timeout=4, retry_interval=0.5)
        # Keep it to the end of the test: its session ends with it, and then the hub refuses its requests.
        impatient = KojiBuildSystem(replace(system.options, access=access))
        with pytest.raises(AnswerLost):
            impatient.submit(jobs)
        assert delays.held
        # The lease of the first process has expired, and another one submits.
        submissions = system.submit(jobs)
        delays.let_through()

    late = _tasks_of(setting, jobs[0]) - {each.task_id for each in submissions}
    assert system.submit(jobs) == submissions, "the older task is adopted"
    statuses = setting.ended([*submissions, *(replace(submissions[0], task_id=number) for number in late)])
    # The client sends a request twice. A hub that gets both at once may execute both.
    assert 1 <= len(late) <= 2
    assert statuses[0].state is TaskState.COMPLETE
    assert all(each.state is TaskState.CANCELED or each.nvr == statuses[0].nvr for each in statuses[1:]), (
        statuses
    )
    builds = system.hub.call("listBuilds", prefix=jobs[0].package)
    assert [each["nvr"] for each in builds if module.disttag in each["nvr"]] == [statuses[0].nvr]


def test_a_module_is_shipped_when_its_tag_is_permitted_again_and_then_left_alone(setting: Setting) -> None:
    system, hub = setting.system, setting.system.hub
    module, nvrs = _with_one_package(setting, "locked")
    system.finalize(module, nvrs)
    tag = f"mbstest-candidates-{module.version}"
    hub.call("createTag", tag)
    hub.call("editTag2", tag, locked=True)
    imports = (_nvr(module), _nvr(module, "-devel"))
    refused = system.ship(module, tag)
    assert refused.missing == imports
    assert "locked" in refused.trouble

    hub.call("editTag2", tag, locked=False)
    setting.wait(lambda: not system.ship(module, tag).missing, "the import to be tagged")
    hub.call("untagBuild", tag, imports[0])
    assert system.ship(module, tag).missing == (), "the service does not put back what operators moved"
    assert tag not in _tags_of(setting, module)


def test_two_processes_that_import_a_module_at_once_make_one_import(setting: Setting) -> None:
    module, nvrs = _with_one_package(setting, "twice")
    systems = [KojiBuildSystem(setting.system.options) for _ in range(2)]

    def finalize(system: KojiBuildSystem) -> Result | None:
        try:
            return system.finalize(module, nvrs)
        except BuildSystemUnavailable:
            return None  # The import of the other process is under way: the step is repeated.

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(finalize, systems))
    assert any(results)
    assert setting.system.finalize(module, nvrs) == next(filter(None, results))
    found = setting.system.hub.call("listBuilds", packageID=module.name)
    # A hub also lists the imports of earlier runs.
    assert [build["nvr"] for build in found if module.version in build["nvr"]] == [_nvr(module)]


def test_packages_filtered_by_a_required_module_are_not_in_the_buildroot(setting: Setting) -> None:
    if not setting.dependant:
        pytest.skip("no --koji-dependant: no package needs the -devel package of another")
    required, _ = _with_one_package(setting, "required")
    outcomes = {}
    for name, conflicts in (("open", ()), ("filtered", (f"{setting.packages[0]}-devel",))):
        module, _ = with_macros(setting, name, required=required, conflicts=conflicts)
        (status,) = setting.ended(setting.system.submit(setting.jobs(module, [setting.dependant])))
        outcomes[name] = status.state
    assert outcomes == {"open": TaskState.COMPLETE, "filtered": TaskState.FAILED}
