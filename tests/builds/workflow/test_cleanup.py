"""Sweeps on a hub: targets and tags of ended builds, stuck builds, and tags that users have changed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

import celeryconfig
from builds.models import ModuleBuild, Sweep, Wait
from builds.services.build_system import as_module
from builds.workflow import cleanup, sweeps
from buildsys.base import BuildSystemUnavailable
from mbs.states import BuildState, ComponentState
from tests import factories
from tests.buildsys.koji.double import HubDouble
from tests.buildsys.rigs import KojiRig, koji_system

pytestmark = pytest.mark.django_db


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The service's build system is a hub double."""
    double = HubDouble().start()
    system = koji_system(double, tmp_path)
    for module in (cleanup, sweeps):
        monkeypatch.setattr(module, "build_system", lambda: system)
    yield KojiRig(system, ("x86_64",), double=double)
    double.stop()


def _build(rig: KojiRig, state: BuildState, days: float = 0, **values) -> ModuleBuild:
    """A module build with tags in Koji that came into its state some days ago."""
    build = factories.module_build(state=state, modulemd="", **values)
    then = timezone.now() - timedelta(days=days)
    build.modulemd = (
        "document: modulemd\nversion: 2\ndata:\n  summary: s\n  description: d\n  license: {module: [MIT]}\n"
    )
    build.koji_tag, build.disttag = build.nsvc.koji_tag(), build.nsvc.disttag(build.pk)
    build.time_completed = build.progress_at = then
    build.save()
    rig.system.prepare(as_module(build), ["one", "two"])
    return build


def test_every_sweep_is_scheduled_and_every_schedule_is_a_sweep() -> None:
    scheduled = {entry["task"].removeprefix("sweep.") for entry in celeryconfig.beat_schedule.values()}
    assert scheduled == set(sweeps.SWEEPS)


def test_expired_sessions_are_deleted() -> None:
    for key, days in (("over", -1), ("valid", 1)):
        expiry = timezone.now() + timedelta(days=days)
        Session.objects.create(session_key=key, session_data="", expire_date=expiry)
    assert sweeps.clean_up()["sessions"] == 1
    assert Session.objects.get().session_key == "valid"


def test_targets_of_builds_that_ended_a_day_ago_are_deleted(rig: KojiRig) -> None:
    old, failed = _build(rig, BuildState.READY, 2), _build(rig, BuildState.FAILED, 2)
    kept = [_build(rig, BuildState.READY, 0.1), _build(rig, BuildState.BUILD, 2)]
    assert sweeps.old_targets() == {"retired": 2, "withdrawn": 0}
    assert sorted(rig.system.prepared()) == sorted(build.koji_tag for build in kept)
    assert {old.koji_tag, failed.koji_tag} <= set(rig.double.books.tags), "the tags stay"
    assert sweeps.old_targets() == {"retired": 0, "withdrawn": 0}


def test_targets_of_others_are_let_be(rig: KojiRig) -> None:
    admin = rig.double.callers["kojiadmin"]
    for name in ("module-by-hand", "f40"):
        rig.double.createTag(admin, name)
        rig.double.createTag(admin, f"{name}-build")
        rig.double.createBuildTarget(admin, name, f"{name}-build", name)
    assert sweeps.old_targets() == {"retired": 0, "withdrawn": 0}
    assert set(rig.double.books.targets) == {"module-by-hand", "f40"}


def test_a_build_that_failed_half_a_year_ago_becomes_garbage_and_is_untagged(rig: KojiRig) -> None:
    old, young = _build(rig, BuildState.FAILED, 200), _build(rig, BuildState.FAILED, 100)
    for build in (old, young):
        with rig.double.lock:
            nvr = rig.double.books.new_build(f"one-1-1.{build.disttag}", "COMPLETE")
            rig.double.put(rig.double.books.tags[build.koji_tag], nvr)
    assert sweeps.old_failures() == {"discarded": 1}
    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.state, young.state) == (BuildState.GARBAGE, BuildState.FAILED)
    tagged = [rig.double.listTagged(rig.double.callers["mbs"], build.koji_tag) for build in (old, young)]
    assert [len(builds) for builds in tagged] == [0, 1]


def test_a_build_without_progress_for_a_week_fails_and_names_its_batch_and_phase(rig: KojiRig) -> None:
    stuck = _build(rig, BuildState.BUILD, 8, batch=3, phase="regenerating")
    _build(rig, BuildState.BUILD, 6)
    _build(rig, BuildState.WAIT, 8)
    factories.wait(stuck, what="the repository of x is being regenerated")
    assert sweeps.stuck_builds() == {"failed_as_stuck": 1}
    stuck.refresh_from_db()
    assert (stuck.state, stuck.error_code) == (BuildState.FAILED, "stuck")
    assert "batch 3 (regenerating): the repository of x is being regenerated, since " in stuck.state_reason
    assert not Wait.objects.filter(module_build=stuck).exists()


def _tagged_component(rig: KojiRig, build: ModuleBuild, package: str) -> None:
    """Add a component that is built and in both tags of its module."""
    nvr = f"{package}-1-1.{build.disttag}"
    tags = rig.double.books.tags
    with rig.double.lock:
        row = rig.double.books.new_build(nvr, "COMPLETE")
        rig.double.put(tags[f"{build.koji_tag}-build"], row)
        rig.double.put(tags[build.koji_tag], row)
    factories.component_build(
        build, package=package, nvr=nvr, state=ComponentState.COMPLETE, tagged=True, tagged_in_final=True
    )


def test_an_untagged_build_is_tagged_again(rig: KojiRig) -> None:
    build = _build(rig, BuildState.BUILD)
    for name in ("one", "two"):
        _tagged_component(rig, build, name)
    mbs = rig.double.callers["mbs"]
    rig.double.untagBuild(mbs, f"{build.koji_tag}-build", f"one-1-1.{build.disttag}")
    assert sweeps.lost_tags() == {"builds": 1, "restored": 1, "after": 0}
    nvrs = [f"one-1-1.{build.disttag}", f"two-1-1.{build.disttag}"]
    rig.tag(as_module(build), nvrs)
    rig.double.log.clear()
    sweeps.lost_tags()
    assert not [method for request in rig.double.log for method in request if method == "tagBuild"]


def test_tags_of_many_builds_are_compared_in_slices(
    rig: KojiRig, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(sweeps, "SLICE", 3)
    builds = [_build(rig, BuildState.BUILD) for _ in range(7)]
    for build in builds:
        _tagged_component(rig, build, "one")
    rig.double.log.clear()
    assert sweeps.lost_tags() == {"builds": 7, "after": 0}
    assert len(rig.double.log) == 3
    settings.MBS = settings.MBS.model_copy(update={"POLLING_INTERVAL": 0})
    Sweep.objects.create(name="lost_tags", result={"after": builds[1].pk})
    assert sweeps.lost_tags() == {"builds": 3, "after": builds[4].pk}


def test_a_hub_that_is_away_leaves_everything_for_the_next_sweep(rig: KojiRig) -> None:
    build = _build(rig, BuildState.FAILED, 200)
    rig.double.faults.offline = True
    with pytest.raises(BuildSystemUnavailable):
        sweeps.old_failures()
    build.refresh_from_db()
    assert build.state == BuildState.FAILED
    rig.double.faults.offline = False
    assert sweeps.old_failures() == {"discarded": 1}
