"""Steps of the workflow on a hub: their effects, their waits and their refusals."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest

from builds.models import ComponentBuild, ModuleBuild
from builds.services import components, reuse, tagging
from builds.services.build_system import as_jobs, build_system
from builds.workflow import steps
from builds.workflow.outcomes import Park
from buildsys.base import BuildSystemError, BuildSystemUnavailable
from mbs import macros
from mbs.errors import Unprocessable
from mbs.modulemd import parse_stream
from mbs.states import BuildState, ComponentState
from tests.builds.workflow.on_koji import PLATFORM, build_in_init, prepared, settle
from tests.buildsys.koji.double import HubDouble
from tests.buildsys.koji.double.state import TASK
from tests.buildsys.packages import spec
from tests.factories import module_build

pytestmark = pytest.mark.django_db(transaction=True)
CANDIDATES = "modular-updates-candidate"


def tags_of(hub: HubDouble, nvr: str) -> list[str]:
    return [tag["name"] for tag in hub.listTags(hub.callers["mbs"], nvr)]


def built(hub: HubDouble, build: ModuleBuild) -> ModuleBuild:
    """The build with all its batches built and tagged, about to be finalized."""
    prepared(hub, build)
    for batch in range(1, build.batches + 1):
        steps.start_batch(build.pk, 0, batch - 1)
        settle(hub)
        build.refresh_from_db()
        members = list(build.component_builds.filter(batch=batch))
        statuses = build_system().statuses([each.task_id for each in members])
        components.record(build, [each.pk for each in members], statuses)
        while steps.finish_batch(build.pk, 0, batch) is not None:
            settle(hub)
        while batch < build.batches and steps.regenerate_repo(build.pk, 0, batch) is not None:
            settle(hub)
    build.refresh_from_db()
    return build


def nvr_of(build: ModuleBuild) -> str:
    return f"{build.name}-main-1.c0ffee00"


def test_a_module_is_ready_once_its_tag_was_seen(hub: HubDouble) -> None:
    build = built(hub, build_in_init(["one"]))
    parked = steps.finalize(build.pk, 0)
    assert isinstance(parked, Park)
    build.refresh_from_db()
    assert (build.state, build.cg_build_koji_tag) == (BuildState.BUILD, CANDIDATES)
    assert f"{nvr_of(build)} and " in parked.what
    assert f"to be tagged into {CANDIDATES}" in parked.what
    assert parked.key == f"tag:{nvr_of(build)}", "the message about its tagging wakes it"
    settle(hub)
    assert steps.finalize(build.pk, 0) is None
    build.refresh_from_db()
    assert build.state == BuildState.READY


def test_a_module_shows_why_its_tag_failed_and_becomes_ready_once_it_is_tagged(hub: HubDouble) -> None:
    build = built(hub, build_in_init(["one"]))
    hub.faults.tag_fails = 10
    for _ in range(5):
        parked = steps.finalize(build.pk, 0)
        settle(hub)
    assert isinstance(parked, Park)
    assert "failed: policy violation (tag)" in parked.what
    build.refresh_from_db()
    assert build.state == BuildState.BUILD
    steps.finalize(build.pk, 0)
    settle(hub)
    assert steps.finalize(build.pk, 0) is None
    build.refresh_from_db()
    assert build.state == BuildState.READY
    assert tags_of(hub, nvr_of(build)) == [CANDIDATES]


def test_waiting_for_the_tag_costs_two_round_trips_a_look(hub: HubDouble) -> None:
    build = built(hub, build_in_init(["one"]))
    hub.books.seconds["tagBuild"] = 3600
    steps.finalize(build.pk, 0)
    hub.log.clear()
    steps.finalize(build.pk, 0)
    assert len(hub.log) <= 2


def test_a_message_about_any_tag_of_a_module_wakes_what_waits_for_it(
    hub: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[object] = []
    monkeypatch.setattr("builds.services.tagging.dispatch.wake", woken.append)
    tagging.record_tagged(CANDIDATES, "tiny-main-1.c0ffee00", final=True)
    assert woken == ["tag:tiny-main-1.c0ffee00"]


def test_a_scratch_build_ends_in_done_without_a_trace_among_candidates(hub: HubDouble) -> None:
    build = built(hub, build_in_init(["one"], scratch=True))
    assert steps.finalize(build.pk, 0) is None
    build.refresh_from_db()
    assert (build.state, build.cg_build_koji_tag) == (BuildState.DONE, None)
    assert not [nvr for nvr in hub.books.numbers if nvr.startswith(f"{build.name}-")]
    assert not hub.books.tags[CANDIDATES].listing


def test_a_component_that_was_deleted_fails_the_module_by_its_name(hub: HubDouble) -> None:
    build = built(hub, build_in_init(["one", "two"]))
    gone = build.component_builds.get(package="two").nvr
    hub.remove_build(gone)
    with pytest.raises(BuildSystemError, match="was deleted") as caught:
        steps.finalize(build.pk, 0)
    assert str(gone) in caught.value.message
    assert "one-1.0" not in caught.value.message


def test_the_first_build_finds_a_repository(hub: HubDouble) -> None:
    hub.books.wait_seconds = 60
    build = build_in_init(["one"])
    steps.initialize(build.pk, 0)
    hub.books.seconds["newRepo"] = 0.3
    parked = steps.prepare(build.pk, 0)
    assert isinstance(parked, Park)
    assert parked.key == f"repo:{build.koji_tag}"
    build.refresh_from_db()
    assert build.state == BuildState.WAIT
    hub.books.seconds["newRepo"] = 0
    prepared_again = prepared(hub, build)
    assert prepared_again.state == BuildState.BUILD
    steps.start_batch(build.pk, 0, 0)
    (task,) = [task for task in hub.books.tasks.values() if task.method == "build"]
    assert task.awaits is None, "the builder does not sleep"


def test_a_first_repository_that_failed_is_asked_for_anew(hub: HubDouble) -> None:
    build = build_in_init(["one"])
    hub.faults.repo_fails = 5
    assert prepared(hub, build).state == BuildState.BUILD
    failed = [t for t in hub.books.tasks.values() if (t.method, t.state) == ("newRepo", TASK["FAILED"])]
    assert len(failed) == 5


def test_a_build_without_anything_to_build_needs_no_repository(hub: HubDouble) -> None:
    build = build_in_init(["one"])
    build.component_builds.update(state=ComponentState.COMPLETE, nvr="one-1-1", reuse_code="reused")
    assert prepared(hub, build).state == BuildState.BUILD
    assert not hub.books.requests


def test_a_deleted_build_is_not_reused(hub: HubDouble) -> None:
    former = built(hub, build_in_init(["one", "two"], scmurl="https://git.example.com/m?#1"))
    ModuleBuild.objects.filter(pk=former.pk).update(
        state=BuildState.READY, rebuild_strategy="only-changed", build_context="b"
    )
    former.component_builds.update(ref="0" * 40)
    present = build_in_init(["one", "two"], rebuild_strategy="only-changed", reuse_components_from=former)
    present.arch_names = former.arch_names
    hub.remove_build(former.component_builds.get(package="one").nvr)
    found = reuse.compare(present, list(present.component_builds.filter(build_time_only=False)))
    assert {each.package: each.code for each in found.decisions} == {
        "one": "former_unfinished",
        "two": "reused",
    }


# -- RPMs that must stay out ---------------------------------------------------------------------------------


def _module(hub: HubDouble, name: str, nvrs: list[str], *, filtered: str = "") -> ModuleBuild:
    """A finished module with builds in its tag."""
    tag = f"module-{name}-1-1-c0ffee00"
    hub.createTag(hub.callers["kojiadmin"], tag, arches="x86_64")
    _put(hub, tag, nvrs)
    document = f"""document: modulemd
version: 2
data:
  name: {name}
  stream: "1"
  version: 1
  context: c0ffee00
  summary: A module
  description: A module of a test.
  license: {{module: [MIT]}}
  filter: {{rpms: [{filtered}]}}
"""
    return module_build(
        name=name,
        stream="1",
        version="1",
        context="c0ffee00",
        state=BuildState.READY,
        koji_tag=tag,
        modulemd=document,
    )


def _put(hub: HubDouble, tag: str, nvrs: list[str]) -> None:
    with hub.lock:
        for nvr in nvrs:
            build = hub.books.new_build(nvr, "COMPLETE", task_id=1)
            hub._make_rpms(build)
            hub.put(hub.books.tags[tag], build)


def _requiring(*modules: ModuleBuild, components: list[str] | None = None, **fields) -> ModuleBuild:
    build = build_in_init(components or ["one"], **fields)
    needs = {
        each.name: {"stream": "1", "version": "1", "context": "c0ffee00", "koji_tag": each.koji_tag}
        for each in modules
    }
    build.buildrequires = {**PLATFORM, **needs}
    text = build.modulemd.replace(
        "data:\n", f"data:\n  xmd: {{mbs: {{buildrequires: {build.buildrequires!r}}}}}\n"
    )
    build.modulemd = text
    build.save()
    for each in modules:
        build.requirement_links.create(required=each)
    return build


def _conflicts(build: ModuleBuild) -> list[str]:
    """What the macros package of a build conflicts with."""
    build.refresh_from_db()
    (component,) = build.component_builds.filter(build_time_only=True)
    (job,) = as_jobs(build, [component])
    lines = [line.split(":", 1)[1].strip() for line in job.spec.splitlines() if line.startswith("Conflicts:")]
    return sorted(lines)


def test_filtered_rpms_of_required_modules_stay_out_of_the_buildroot(hub: HubDouble) -> None:
    langc = _module(hub, "langc", ["langc-2-1", "other-1-1"], filtered="langc-devel")
    build = _requiring(langc)
    steps.initialize(build.pk, 0)
    assert _conflicts(build) == ["langc-devel = 0:2-1"]
    notes = parse_stream(build.modulemd, strict=False).mbs
    assert notes["buildrequires"]["langc"]["filtered_rpms"] == ["langc-devel-0:2-1"]
    assert notes["buildrequires"]["platform"]["filtered_rpms"] == []
    assert build.buildrequires["langc"]["filtered_rpms"] == ["langc-devel-0:2-1"]


def test_filtered_rpms_of_builds_that_the_module_takes_over_may_come_in(hub: HubDouble) -> None:
    former = _module(hub, "self", ["one-1-1", "two-1-1"], filtered="one-devel, two-devel")
    build = _requiring(former, components=["one", "two"])
    reused = ComponentBuild.objects.create(
        module_build=former, package="one", batch=2, nvr="one-1-1", state=ComponentState.COMPLETE
    )
    build.component_builds.filter(package="one").update(
        reused_component=reused, nvr="one-1-1", reuse_code="reused", state=ComponentState.COMPLETE
    )
    steps.initialize(build.pk, 0)
    assert _conflicts(build) == ["two-devel = 0:1-1"]


def test_rpms_of_the_base_that_a_module_brings_in_another_build_stay_out(hub: HubDouble) -> None:
    _put(hub, "platform-build", ["langc-1-1", "langc-9-1", "bash-5-1", "same-1-1"])
    langc = _module(hub, "langc", ["langc-2-1"])
    with hub.lock:
        hub.put(hub.books.tags[str(langc.koji_tag)], hub.books.build("same-1-1"))
    build = _requiring(langc)
    steps.initialize(build.pk, 0)
    assert _conflicts(build) == [
        "langc = 0:1-1",
        "langc = 0:9-1",
        "langc-devel = 0:1-1",
        "langc-devel = 0:9-1",
    ]


def _pack_by_zstd(repodata: Path) -> None:
    """Pack a list of packages as createrepo_c of Debian 13 and of Fedora does; that of Debian 12 cannot."""
    (packed,) = repodata.glob("*-primary.xml.gz")
    plain = repodata / packed.stem
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    subprocess.run(["zstd", "-q", "--rm", str(plain)], check=True)
    index = repodata / "repomd.xml"
    index.write_text(index.read_text().replace(packed.name, f"{plain.name}.zst"))
    packed.unlink()


@pytest.mark.parametrize("zstd", [False, True])
def test_rpms_of_the_bases_external_repositories_count_too(
    hub: HubDouble, tmp_path: Path, zstd: bool
) -> None:
    folder = tmp_path / "external" / "x86_64"
    folder.mkdir(parents=True)
    (tmp_path / "langc.spec").write_text(spec("langc").replace("Version: 1", "Version: 7"))
    command = ["rpmbuild", "-bb", "--define", f"_topdir {tmp_path}/rpm", "--define", f"_rpmdir {folder}"]
    subprocess.run([*command, str(tmp_path / "langc.spec")], check=True, capture_output=True)
    gz = "--general-compress-type=gz"
    subprocess.run(["createrepo_c", gz, str(folder)], check=True, capture_output=True)
    if zstd:
        _pack_by_zstd(folder / "repodata")
    url = f"file://{tmp_path}/external/$arch/"
    hub.books.tags["platform-build"].external.append({"url": url, "external_repo_id": 1})
    build = _requiring(_module(hub, "langc", ["langc-2-1"]))
    steps.initialize(build.pk, 0)
    assert _conflicts(build) == ["langc = 0:7-1.module+el9+7+0a1b2c3d"]


def test_an_external_repository_that_is_away_is_an_outage(hub: HubDouble, tmp_path: Path) -> None:
    hub.books.tags["platform-build"].external.append(
        {"url": f"file://{tmp_path}/gone", "external_repo_id": 1}
    )
    build = _requiring(_module(hub, "langc", ["langc-2-1"]))
    with pytest.raises(BuildSystemUnavailable, match="external repository file://") as caught:
        steps.initialize(build.pk, 0)
    assert caught.value.code == "external_repository"


def test_without_other_modules_the_hub_is_not_asked_for_rpms(hub: HubDouble) -> None:
    build = build_in_init(["one"])
    steps.initialize(build.pk, 0)
    assert _conflicts(build) == []
    assert not [request for request in hub.log if "listTaggedRPMS" in request]


def test_packages_excluded_from_the_buildroot_are_determined_once(hub: HubDouble) -> None:
    langc = _module(hub, "langc", ["langc-2-1"], filtered="langc-devel")
    build = _requiring(langc)
    steps.initialize(build.pk, 0)
    ModuleBuild.objects.filter(pk=build.pk).update(state=BuildState.INIT)
    _put(hub, str(langc.koji_tag), ["langc-3-1"])
    steps.initialize(build.pk, 0)
    assert _conflicts(build) == ["langc-devel = 0:2-1"]


# -- what the document says of the buildroot -----------------------------------------------------------------


def test_build_tags_inherit_in_the_order_of_the_document(hub: HubDouble) -> None:
    modules = [_module(hub, name, []) for name in ("zeta", "alpha-long", "mid")]
    build = _requiring(*modules)
    names = list(parse_stream(build.modulemd, strict=False).mbs["buildrequires"])
    assert names == ["platform", "zeta", "alpha-long", "mid"]
    prepared(hub, ModuleBuild.objects.get(pk=build.pk))
    parents = hub.getInheritanceData(hub.callers["mbs"], f"{build.koji_tag}-build")
    assert [link["name"] for link in parents] == [
        "platform-build",
        "module-zeta-1-1-c0ffee00",
        "module-alpha-long-1-1-c0ffee00",
        "module-mid-1-1-c0ffee00",
    ]


PROFILES = """  profiles:
    buildroot: {rpms: [one-macros, one-tools]}
    srpm-buildroot: {rpms: [one-macros]}
  components:
    rpms:
      one: {rationale: r, buildroot: true, srpm-buildroot: true}
      two: {rationale: r, buildorder: 1}
"""


def test_profiles_of_the_module_itself_are_for_the_batches_behind_the_flagged_component(
    hub: HubDouble,
) -> None:
    build = build_in_init(["one"], ["two"])
    ModuleBuild.objects.filter(pk=build.pk).update(modulemd=build.modulemd + PROFILES)
    prepared(hub, build)
    groups = hub.books.tags[f"{build.koji_tag}-build"].groups
    assert not any(groups.values())
    ModuleBuild.objects.filter(pk=build.pk).update(state=BuildState.INIT)
    built(hub, build)
    assert groups == {
        "build": {macros.PACKAGE, "one-macros", "one-tools"},
        "srpm-build": {macros.PACKAGE, "one-macros"},
    }


def test_without_the_flag_they_mean_nothing(hub: HubDouble) -> None:
    build = build_in_init(["one"], ["two"])
    text = PROFILES.replace(", buildroot: true, srpm-buildroot: true", "")
    ModuleBuild.objects.filter(pk=build.pk).update(modulemd=build.modulemd + text)
    built(hub, build)
    groups = hub.books.tags[f"{build.koji_tag}-build"].groups
    assert groups == {"build": {macros.PACKAGE}, "srpm-build": {macros.PACKAGE}}


def test_a_component_without_an_architecture_of_the_module_is_refused(hub: HubDouble) -> None:
    build = build_in_init(["one", "two"])
    build.component_builds.filter(package="one").update(arches=["s390x", "x86_64"])
    build.component_builds.filter(package="two").update(arches=["s390x"])
    with pytest.raises(Unprocessable, match="two is for s390x only") as caught:
        steps.initialize(build.pk, 0)
    assert [each.component for each in caught.value.problems] == ["two"]
