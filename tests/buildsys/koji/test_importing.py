"""The import of a finished module into Koji: its content, its tags, and no import twice."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from koji import GenericError
from koji.xmlrpcplus import Fault

from builds.services import documents
from buildsys.base import BuildSystemError, BuildSystemUnavailable, Module
from buildsys.koji import metadata
from buildsys.koji.importing import ImportOptions, read
from buildsys.koji.options import KojiOptions
from buildsys.koji.session import Access
from buildsys.koji.system import KojiBuildSystem
from buildsys.koji.tags import TagOptions
from mbs.modulemd import parse_stream
from mbs.states import BuildState, ComponentState
from tests.buildsys.rigs import KojiRig, koji_system
from tests.factories import component_build, module_build

NVR = "tiny-1-1.c0ffee12"


@pytest.fixture
def built(rig: KojiRig) -> tuple[Module, dict[str, str]]:
    """A module all of whose components are built, and their NVRs."""
    rig.arches = ("x86_64",)
    module = rig.module()
    nvrs = {name: rig.build(rig.job(module, n, name)) for n, name in enumerate(("one", "two"), 1)}
    rig.tag(module, list(nvrs.values()))
    rig.double.log.clear()
    return module, nvrs


def _imports(rig: KojiRig) -> int:
    return [method for request in rig.double.log for method in request].count("CGImport")


def _tags(rig: KojiRig, nvr: str) -> list[str]:
    rig.end([])
    with rig.double.lock:
        rig.double.books.tick()
    return [tag["name"] for tag in rig.double.listTags(rig.double.callers["mbs"], nvr)]


def test_a_module_and_its_devel_module_are_imported_once(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    results = [rig.system.finalize(module, nvrs) for _ in range(3)]
    assert _imports(rig) == 2
    assert results[0] == results[1] == results[2]
    info = rig.double.books.build(NVR)["extra"]["typeinfo"]["module"]
    assert info["name"] == module.name
    assert (info["module_build_service_id"], info["content_koji_tag"]) == (module.id, module.tag)
    assert rig.double.books.build("tiny-devel-1-1.c0ffee12")
    assert _tags(rig, NVR) == _tags(rig, "tiny-devel-1-1.c0ffee12") == ["modular-updates-candidate"]
    assert results[0].content_tag == "modular-updates-candidate"


def test_documents_of_a_module_of_an_old_database_are_computed_without_a_login_and_kept(
    rig: KojiRig, built: Any, client: Client, db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, nvrs = built
    known = dict(rig.system.finalize(module, nvrs).modulemds)
    rig.double.untagBuild(rig.double.callers["mbs"], module.tag, nvrs["one"])
    build = module_build(
        name=module.name,
        stream=module.stream,
        version=module.version,
        context=module.context,
        state=BuildState.READY,
        koji_tag=module.tag,
        modulemd=module.modulemd,
        arch_names=list(module.arches),
    )
    address = f"/module-build-service/2/final-modulemd/{build.pk}"
    monkeypatch.setattr(documents, "build_system", lambda: _front(rig, tmp_path))
    assert client.get(address).status_code == 501, "nothing is known of what it holds"
    for package, nvr in nvrs.items():
        component_build(build, package=package, nvr=nvr, state=ComponentState.COMPLETE)
    assert client.get(address).json() == known
    rig.double.faults.offline = True
    assert client.get(address).json() == known


def test_documents_of_a_module_whose_builds_are_gone_are_not_found(
    rig: KojiRig, built: Any, client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "build_system", lambda: rig.system)
    module, _ = built
    build = module_build(
        state=BuildState.READY,
        koji_tag=module.tag,
        modulemd=module.modulemd,
        arch_names=["x86_64"],
    )
    component_build(build, package="gone", nvr="gone-1-1", state=ComponentState.COMPLETE)
    answer = client.get(f"/module-build-service/2/final-modulemd/{build.pk}")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_final_modulemd")
    assert "gone-1-1 was deleted" in answer.json()["message"]


def _front(rig: KojiRig, folder: Path) -> KojiBuildSystem:
    """The build system as a web front has it, which cannot log in."""
    config = rig.double.write_profile(folder / "front.conf")
    access = Access(config, "koji", user="mbs", password="wrong", timeout=5, retry_interval=0.01)
    return KojiBuildSystem(KojiOptions(access, tags=TagOptions("module-tags")))


def test_the_tag_of_the_base_modules_stream_is_preferred(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    rig.double.createTag(rig.double.callers["kojiadmin"], "el9-modular-updates-candidate")
    assert rig.system.finalize(module, nvrs).content_tag == "el9-modular-updates-candidate"
    assert _tags(rig, NVR) == ["el9-modular-updates-candidate"]


@pytest.mark.parametrize("method", ["rawUpload", "CGImport", "packageListAdd", "tagBuild"])
def test_an_end_that_broke_off_anywhere_is_brought_to_its_end(rig: KojiRig, built: Any, method: str) -> None:
    module, nvrs = built
    rig.double.faults.refuse[method] = [Fault(1014, "server is offline")]
    if method != "rawUpload":
        with pytest.raises(BuildSystemUnavailable):
            rig.system.finalize(module, nvrs)
    rig.system.finalize(module, nvrs)
    assert _tags(rig, NVR) == ["modular-updates-candidate"]


def test_an_import_whose_answer_was_lost_is_not_made_again(rig: KojiRig, built: Any) -> None:
    module, nvrs = built

    def lose(method: str, args: tuple[object, ...]) -> None:
        if method == "getBuild" and args[0] == NVR:
            rig.double.faults.watch = lose_import

    def lose_import(method: str, args: tuple[object, ...]) -> None:
        if method == "checkUpload":
            rig.double.faults.drop = [""] * 0
        if method == "CGImport":
            rig.double.faults.watch = None
            rig.double.sessions.clear()

    rig.double.faults.watch = lose
    with pytest.raises(BuildSystemUnavailable):
        rig.system.finalize(module, nvrs)
    rig.system.finalize(module, nvrs)
    assert _imports(rig) == 2


TAKEN = [
    f"Build already exists: {NVR} (id=7)",
    f"Destination directory already exists: /packages/{NVR}",
    "Key (pkg_id, version, release)=(1, 1, 1.c0ffee12) already exists.",
    "Key (name)=(tiny) already exists.",
]


def test_a_package_that_another_try_lists_at_the_same_moment_is_listed(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    text = "DETAIL:  Key (package_id, tag_id, active)=(16, 1, t) already exists."
    rig.double.faults.refuse["packageListAdd"] = [GenericError(text)]
    with rig.double.lock:
        rig.double.packageListAdd(rig.double.callers["mbs"], "modular-updates-candidate", "tiny", "mbs")
    rig.system.finalize(module, nvrs)
    assert _tags(rig, NVR) == ["modular-updates-candidate"]


@pytest.mark.parametrize("text", TAKEN)
def test_an_import_that_another_try_was_faster_with_is_found(
    rig: KojiRig, built: Any, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    module, nvrs = built
    begin = rig.double.CGImport

    def second(*arguments: Any) -> None:
        begin(*arguments)
        raise GenericError(text)

    monkeypatch.setattr(rig.double, "CGImport", second)
    rig.system.finalize(module, nvrs)
    assert _imports(rig) == 2
    assert _tags(rig, NVR) == ["modular-updates-candidate"]


@pytest.mark.parametrize("text", TAKEN)
def test_an_import_that_goes_on_unseen_is_waited_for(rig: KojiRig, built: Any, text: str) -> None:
    module, nvrs = built
    rig.double.faults.refuse["CGImport"] = [GenericError(text)]
    with pytest.raises(BuildSystemUnavailable, match=r"seems to be imported.*exists") as caught:
        rig.system.finalize(module, nvrs)
    assert caught.value.code == "koji_import_under_way"
    rig.system.finalize(module, nvrs)
    assert _tags(rig, NVR) == ["modular-updates-candidate"]


def test_a_concurrent_import_of_another_user_is_an_error(
    rig: KojiRig, built: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, nvrs = built

    def other(*_: Any) -> None:
        rig.double.books.new_build(NVR, "COMPLETE", extra={"typeinfo": {"module": {}}})
        raise GenericError(TAKEN[0])

    monkeypatch.setattr(rig.double, "CGImport", other)
    with pytest.raises(BuildSystemError, match="belongs to another module build"):
        rig.system.finalize(module, nvrs)


def test_a_build_of_this_name_by_another_user_is_an_error(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    with rig.double.lock:
        rig.double.books.new_build(NVR, "COMPLETE", extra={"typeinfo": {"module": {}}})
    with pytest.raises(BuildSystemError, match="belongs to another module build") as caught:
        rig.system.finalize(module, nvrs)
    assert caught.value.code == "koji_build_taken"


def test_without_the_grant_nothing_is_imported_and_the_remedy_is_named(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    rig.double.books.generators.clear()
    with pytest.raises(BuildSystemError, match=r"refuses CGImport.*module-build-service"):
        rig.system.finalize(module, nvrs)
    rig.double.books.generators["module-build-service"] = set()
    with pytest.raises(BuildSystemUnavailable, match="Access Required") as caught:
        rig.system.finalize(module, nvrs)
    assert "doctor" in caught.value.hint


def test_an_import_that_is_switched_off_still_gives_the_documents(
    rig: KojiRig, built: Any, tmp_path: Path
) -> None:
    module, nvrs = built
    system = koji_system(rig.double, tmp_path, imports=ImportOptions(enabled=False))
    result = system.finalize(module, nvrs)
    assert set(result.modulemds) == {"x86_64", "src"}
    assert (result.content_tag, _imports(rig)) == ("", 0)


def test_a_scratch_build_is_neither_imported_nor_tagged(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    result = rig.system.finalize(replace(module, scratch=True), nvrs)
    assert set(result.modulemds) == {"x86_64", "src"}
    assert (result.content_tag, result.shipping.missing, _imports(rig)) == ("", (), 0)
    assert not [name for name in rig.double.books.numbers if name.startswith("tiny-")]


def test_the_times_of_an_import_are_the_modules_own(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    for nvr in nvrs.values():
        rig.double.books.build(nvr).update(creation_ts=1000.0, completion_ts=2000.0)
    submitted = time.time() - 60
    rig.system.finalize(replace(module, submitted=submitted), nvrs)
    row = rig.double.books.build(NVR)
    assert row["start_ts"] == submitted
    assert submitted + 60 <= row["completion_ts"] <= time.time()


def test_the_trees_lie_where_koji_keeps_the_import(rig: KojiRig, built: Any, tmp_path: Path) -> None:
    module, nvrs = built
    system = koji_system(rig.double, tmp_path, repository_url="https://pkgs.example.org/repos")
    place = system.finalize(module, nvrs).topdir
    assert (
        place
        == f"{rig.double.url.removesuffix('/kojihub')}/kojifiles/packages/tiny/1/1.c0ffee12/files/module"
    )
    place = system.finalize(replace(module, scratch=True), nvrs).topdir
    assert place == f"https://pkgs.example.org/repos/{module.tag}-build/latest"


DEVEL = "tiny-devel-1-1.c0ffee12"
CANDIDATES = "modular-updates-candidate"


def test_a_module_is_shipped_once_its_tag_was_seen(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    assert rig.system.finalize(module, nvrs).shipping.missing == (NVR, DEVEL)
    _tags(rig, NVR)
    assert rig.system.ship(module, CANDIDATES).missing == ()
    assert rig.system.finalize(module, nvrs).shipping.missing == ()


def test_a_failed_tag_is_requested_again_and_its_reason_shown(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    rig.double.faults.tag_fails = 8
    rig.system.finalize(module, nvrs)
    for _ in range(3):
        _tags(rig, NVR)
        shipping = rig.system.ship(module, CANDIDATES)
        assert shipping.missing == (NVR, DEVEL)
        assert re.fullmatch(r"task \d+ failed: policy violation \(tag\)", shipping.trouble)
    for _ in range(2):
        _tags(rig, NVR)
        shipping = rig.system.ship(module, CANDIDATES)
    assert shipping.missing == ()


def test_a_tag_that_the_hub_refuses_is_asked_for_again(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    rig.double.books.tags[CANDIDATES].locked = True
    shipping = rig.system.finalize(module, nvrs).shipping
    assert (shipping.missing, shipping.trouble) == (
        (NVR, DEVEL),
        "Koji does not allow tagBuild: tag is locked.",
    )
    rig.double.books.tags[CANDIDATES].locked = False
    rig.system.ship(module, CANDIDATES)
    _tags(rig, NVR)
    assert not rig.system.ship(module, CANDIDATES).missing


def test_an_import_that_was_moved_to_another_tag_is_not_put_back(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    rig.system.finalize(module, nvrs)
    _tags(rig, NVR)
    admin = rig.double.callers["kojiadmin"]
    rig.double.createTag(admin, "updates-testing")
    rig.double.packageListAdd(admin, "updates-testing", "tiny", "mbs")
    rig.double.untagBuild(admin, CANDIDATES, NVR, force=True)
    rig.double.tagBuild(admin, "updates-testing", NVR)
    assert _tags(rig, NVR) == ["updates-testing"]
    assert rig.system.finalize(module, nvrs).shipping.missing == ()
    assert rig.system.ship(module, CANDIDATES).missing == ()
    assert _tags(rig, NVR) == ["updates-testing"]


def test_components_that_koji_does_not_hold_any_more_are_named(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    admin = rig.double.callers["kojiadmin"]
    rig.double.untagBuild(admin, module.tag, nvrs["one"], force=True)
    with pytest.raises(BuildSystemError, match=re.escape(f"{nvrs['one']} is no longer in")) as caught:
        rig.system.finalize(module, nvrs)
    assert caught.value.code == "koji_build_gone"
    rig.double.remove_build(nvrs["two"])
    with pytest.raises(
        BuildSystemError, match=re.escape(f"{nvrs['two']} was deleted; {nvrs['one']} is no longer")
    ):
        rig.system.finalize(module, nvrs)
    assert not rig.double.books.build(NVR)


def test_the_documents_hold_what_was_built_for_them(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    documents = rig.system.finalize(module, nvrs).modulemds
    final = parse_stream(documents["x86_64"], strict=False)
    assert {nevra.rsplit("-", 2)[0] for nevra in final.artifact_rpms} == {
        "one",
        "one-devel",
        "two",
        "two-devel",
    }
    assert final.content_licenses == ["GPL-2.0-only", "MIT"]
    assert final.arch == "x86_64"


def test_sizes_of_the_rpms_of_each_document_are_read_without_a_further_call(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    result = rig.system.finalize(module, nvrs)
    requests = [method for request in rig.double.log for method in request]
    assert requests.count("listBuildRPMs") == len(nvrs)
    assert not {"getRPM", "listRPMs", "listTaggedRPMS"} & set(requests)
    held = {arch: parse_stream(text, strict=False).artifact_rpms for arch, text in result.modulemds.items()}
    assert {arch: sorted(sizes) for arch, sizes in result.sizes.items()} == held
    rpms = rig.double.books.rpms.values()
    known = {f"{r['name']}-0:{r['version']}-{r['release']}.{r['arch']}": r["size"] for r in rpms}
    for sizes in result.sizes.values():
        assert sizes == {nevra: known[nevra] for nevra in sizes}
    assert rig.system.documents(module, sorted(nvrs.values())).sizes == result.sizes


def test_an_rpm_whose_size_the_hub_does_not_know_has_none(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    for rpm in rig.double.books.rpms.values():
        rpm["size"] = None
    assert rig.system.finalize(module, nvrs).sizes == {"x86_64": {}, "src": {}}


def test_filtered_packages_go_into_the_devel_module(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    text = module.modulemd.replace("    - hidden", "").replace("rpms: [hidden]", "rpms: [one-devel]")
    text = text.replace("  filter:\n    rpms:\n", "  filter:\n    rpms: [one-devel]\n")
    module = replace(module, modulemd=text)
    material = read(rig.system.hub, module, sorted(nvrs.values()))
    main = parse_stream(metadata.main_import(module, material).document("x86_64"), strict=False)
    devel = parse_stream(metadata.devel_import(module, material).document("x86_64"), strict=False)
    assert "one-devel" not in {nevra.rsplit("-", 2)[0] for nevra in main.artifact_rpms}
    assert {nevra.rsplit("-", 2)[0] for nevra in devel.artifact_rpms} == {"one-devel"}
    assert devel.dependencies[0].requires["tiny"] == ["1"]
    assert devel.content_licenses == ["GPL-2.0-only"]


def test_metadata_that_a_hub_would_choke_on_is_caught_here(rig: KojiRig, built: Any) -> None:
    module, nvrs = built
    material = read(rig.system.hub, module, sorted(nvrs.values()))
    good = json.loads(json.dumps(metadata.main_import(module, material).metadata))
    metadata.check(good)
    for part, key in (("build", "source"), ("build", "release"), ("build", "extra")):
        bad = json.loads(json.dumps(good))
        del bad[part][key]
        with pytest.raises(BuildSystemError, match=key):
            metadata.check(bad)
    bad = json.loads(json.dumps(good))
    bad["output"][0]["checksum"] = "0"
    with pytest.raises(BuildSystemError, match="output/0"):
        metadata.check(bad)
