"""Builds that reuse components of earlier builds, with real workers and the simulated build system."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from django.test import Client

from builds import dispatch
from builds.models import ComponentBuild, ComponentBuildTrace, ModuleBuild
from builds.services.components import TOPIC
from mbs.contexts import build_context
from mbs.macros import PACKAGE
from mbs.nsvc import NSVC
from mbs.states import BuildState, ComponentState
from tests.builds.workers import Workers
from tests.builds.workflow.modules import MODULEMD, make_build, wait_for_state
from tests.factories import base_module

#: package -> batch
SHAPE = {"early": 2, "other": 2, "middle": 3, "late": 4}


def make_version(
    version: int,
    commits: Mapping[str, str] | None = None,
    *,
    batches: Mapping[str, int] = SHAPE,
    platform: str = "f40",
    **fields,
) -> ModuleBuild:
    """Return a build of the module ``again:main`` in init.

    Args:
        commits: Package -> commit, if it is not forty zeros.
    """
    nsvc = NSVC("again", "main", str(version), "c0ffee00")
    buildrequires = {"platform": {"stream": platform, "version": "1", "context": "00000000"}}
    build = make_build([PACKAGE])
    values = {
        "name": nsvc.name,
        "version": nsvc.version,
        "scmurl": "https://git.example.com/modules/again?#" + "a" * 40,
        "modulemd": MODULEMD.format(name="again"),
        "koji_tag": nsvc.koji_tag(),
        "disttag": nsvc.disttag(version),
        "batches": max(batches.values()),
        "buildrequires": buildrequires,
        "build_context": build_context(buildrequires),
        **fields,
    }
    for name, value in values.items():
        setattr(build, name, value)
    build.save()
    build.component_builds.update(build_time_only=True, scmurl=None, ref=None)
    for package, batch in batches.items():
        ComponentBuild.objects.create(
            module_build=build,
            package=package,
            batch=batch,
            scmurl=f"https://git.example.com/rpms/{package}",
            ref=(commits or {}).get(package, "0" * 40),
        )
    return build


def built(build: ModuleBuild) -> ModuleBuild:
    dispatch.advance(build.pk)
    return wait_for_state(build, BuildState.READY)


def codes(build: ModuleBuild) -> dict[str, str]:
    return dict(build.component_builds.exclude(reuse_code="").values_list("package", "reuse_code"))


def submitted(folder: Path, build: ModuleBuild) -> set[str]:
    """Packages that the build system was asked to build for a module."""
    with sqlite3.connect(folder / "simulated.sqlite3") as books:
        tasks = {number for (number,) in books.execute("SELECT component FROM task WHERE attempt NOTNULL")}
    return set(build.component_builds.filter(pk__in=tasks).values_list("package", flat=True))


def tagged(folder: Path, tag: str) -> set[str]:
    with sqlite3.connect(folder / "simulated.sqlite3") as books:
        return {nvr for (nvr,) in books.execute("SELECT nvr FROM tagged WHERE tag = ?", (tag,))}


def repositories(folder: Path, build: ModuleBuild) -> int:
    with sqlite3.connect(folder / "simulated.sqlite3") as books:
        rows = books.execute("SELECT COUNT(*) FROM task WHERE wakes = ?", (f"repo:{build.koji_tag}",))
        return int(rows.fetchone()[0])


def assert_history_is_right(build: ModuleBuild) -> None:
    """Each step of each component was traced once, and told once on the bus."""
    told = Counter((m.body["id"], m.body["state"]) for m in build.outbox.filter(topic=TOPIC))
    traces = ComponentBuildTrace.objects.filter(component_build__module_build=build)
    assert told == Counter(traces.values_list("component_build_id", "state"))
    assert set(told.values()) == {1}


def test_changed_and_later_components_are_built_again(workers: Workers, tmp_path: Path) -> None:
    workers.start()
    former = built(make_version(1))
    build = built(make_version(2, {"middle": "1" * 40}))
    assert codes(build) == {
        "early": "reused",
        "other": "reused",
        "middle": "commit_changed",
        "late": "earlier_changed",
    }
    assert submitted(tmp_path, build) == {PACKAGE, "middle", "late"}
    assert build.reused_module == former
    theirs = dict(former.component_builds.values_list("package", "nvr"))
    ours = dict(build.component_builds.values_list("package", "nvr"))
    assert {package for package in SHAPE if ours[package] == theirs[package]} == {"early", "other"}
    assert tagged(tmp_path, build.koji_tag) == {ours[package] for package in SHAPE}
    assert tagged(tmp_path, f"{build.koji_tag}-build") == set(ours.values())
    early = build.component_builds.get(package="early")
    assert early.reused_component == former.component_builds.get(package="early")
    assert early.state_reason == f"Reused from {former.nsvc}."
    middle = build.component_builds.get(package="middle")
    assert middle.reuse_detail == f"was {'0' * 40}, is {'1' * 40}"
    assert_history_is_right(build)


def test_when_all_components_are_reused_nothing_is_built(workers: Workers, tmp_path: Path) -> None:
    workers.start()
    former = built(make_version(1))
    build = built(make_version(2))
    assert submitted(tmp_path, build) == set()
    assert repositories(tmp_path, build) == 0
    assert set(build.component_builds.values_list("package", flat=True)) == set(SHAPE)
    nvrs = set(former.component_builds.filter(build_time_only=False).values_list("nvr", flat=True))
    assert tagged(tmp_path, build.koji_tag) == nvrs
    assert_history_is_right(build)


def test_a_repository_is_made_only_before_something_is_built(workers: Workers, tmp_path: Path) -> None:
    workers.start()
    built(make_version(1))
    build = built(make_version(2, {"late": "1" * 40}))
    assert submitted(tmp_path, build) == {PACKAGE, "late"}
    assert repositories(tmp_path, build) == 1


def test_only_changed_builds_only_that(workers: Workers, tmp_path: Path) -> None:
    workers.start()
    built(make_version(1))
    build = built(make_version(2, {"early": "1" * 40}, rebuild_strategy="only-changed"))
    assert submitted(tmp_path, build) == {PACKAGE, "early"}
    # That one is no source of a stricter build; the one before it is, and there all is as it was.
    strict = built(make_version(3))
    assert strict.reused_module.version == "1"


def test_the_strategy_all_builds_everything(workers: Workers, tmp_path: Path) -> None:
    workers.start()
    built(make_version(1))
    build = built(make_version(2, rebuild_strategy="all"))
    assert submitted(tmp_path, build) == {PACKAGE, *SHAPE}
    assert set(codes(build).values()) == {"strategy_all"}
    assert build.reused_module is None


def test_a_reused_component_may_be_reused_again(workers: Workers, tmp_path: Path) -> None:
    workers.start()
    first = built(make_version(1))
    built(make_version(2, {"middle": "1" * 40}))
    third = built(make_version(3, {"middle": "1" * 40}))
    assert submitted(tmp_path, third) == set()
    nvr = first.component_builds.get(package="early").nvr
    assert third.component_builds.get(package="early").nvr == nvr


def test_in_a_graph_what_is_built_after_a_reused_component_starts(workers: Workers, tmp_path: Path) -> None:
    workers.start()
    shape = {"root": 2, "child": 2, "leaf": 2, "alone": 2}

    def graph(version: int, **commits: str) -> ModuleBuild:
        build = make_version(version, commits, batches=shape, graph=True)
        for package, after in {"child": ["root"], "leaf": ["child"]}.items():
            build.component_builds.filter(package=package).update(build_after=after, blocked=True)
        return build

    built(graph(1))
    build = built(graph(2, child="1" * 40))
    assert codes(build) == {
        "root": "reused",
        "child": "commit_changed",
        "leaf": "earlier_changed",
        "alone": "reused",
    }
    assert submitted(tmp_path, build) == {PACKAGE, "child", "leaf"}
    unchanged = built(graph(3, child="1" * 40))
    assert submitted(tmp_path, unchanged) == set()
    assert repositories(tmp_path, unchanged) == 0
    assert_history_is_right(build)


@pytest.mark.parametrize("virtual_streams", [("el8",), ()])
def test_the_newest_compatible_base_module_counts(
    workers: Workers, tmp_path: Path, virtual_streams: tuple[str, ...]
) -> None:
    for stream, number in {"el8.0.0": 80000, "el8.1.0": 80100}.items():
        base_module(stream, virtual_streams=virtual_streams, stream_version=number)
    workers.start()
    older = built(make_version(1, platform="el8.0.0"))
    build = built(make_version(2, platform="el8.1.0"))
    assert build.reused_module == (older if virtual_streams else None)
    assert bool(submitted(tmp_path, build)) is not bool(virtual_streams)
    own = built(make_version(3, platform="el8.1.0"))
    assert own.reused_module == build
    # What was built against a newer base module is no source for an older one.
    assert built(make_version(4, platform="el8.0.0")).reused_module == older


def test_a_build_may_be_named_as_the_source(workers: Workers, tmp_path: Path) -> None:
    workers.start()
    first = built(make_version(1))
    built(make_version(2, {"early": "1" * 40}))
    build = built(make_version(3, platform="f41", reuse_components_from=first))
    assert build.reused_module == first
    assert submitted(tmp_path, build) == set()


def test_a_worker_killed_at_any_commit_loses_nothing_of_a_reuse(workers: Workers, tmp_path: Path) -> None:
    folder = tmp_path / "kill"
    folder.mkdir()
    workers.environ["FAULT_KILL"] = str(folder)
    workers.start(app="tests.faults", concurrency=3, beat=True)
    former = built(make_version(1))
    points = range(1, 14)
    builds = [make_version(100 + point, {"late": f"{point:040}"}) for point in points]
    for point, build in zip(points, builds, strict=True):
        ModuleBuild.objects.filter(pk=build.pk).update(reuse_components_from=former)
        (folder / str(build.pk)).write_text(str(point))
        dispatch.advance(build.pk)
    for build in builds:
        wait_for_state(build, BuildState.READY, 90)
        assert submitted(tmp_path, build) == {PACKAGE, "late"}
        assert_history_is_right(build)
        assert set(build.component_builds.values_list("state", flat=True)) == {ComponentState.COMPLETE}


def test_states_and_messages_of_a_build_are_read_over_rest(workers: Workers, client: Client) -> None:
    def messages(kind: str, number: int) -> list[str]:
        """All messages of a build or component, the oldest first."""
        answer = client.get(f"/module-build-service/1/{kind}/{number}/messages?per_page=100")
        assert answer.status_code == 200
        return [each["message"] for each in reversed(answer.json()["messages"])]

    workers.start()
    former = built(make_version(1))
    build = built(make_version(2, {"middle": "1" * 40}))
    members = {each.package: each for each in build.component_builds.all()}
    told = messages("module-builds", build.pk)
    assert told[0] == (
        f"Components were compared with those of {former.nsvc} (module build {former.pk}): 2 of 4 are reused."
    )
    batches = [text for text in told if text.startswith("Batch ")]
    assert len(batches) == 4
    both = sorted(str(members[package].nvr) for package in ("early", "other"))
    assert batches[1] == (
        f"Batch 2 is complete and being tagged into {build.koji_tag}-build and {build.koji_tag}: "
        f"{', '.join(both)}."
    )
    requests = [
        text for text in told if text.startswith(f"A repository of {build.koji_tag}-build was requested")
    ]
    assert len(requests) == len(set(requests)) >= 2
    assert told[-1].startswith(f"The finished module was imported into the build system as {build.nsvc}")
    source = former.component_builds.get(package="early")
    assert messages("component-builds", members["early"].pk) == [
        f"early is reused from {former.nsvc}: {source.nvr} (component build {source.pk}), it has not changed."
    ]
    assert messages("component-builds", members["middle"].pk) == [
        f"middle is built and not reused: its commit differs (was {'0' * 40}, is {'1' * 40})."
    ]
    assert messages("module-builds", former.pk)[0].startswith(
        "No components are reused: no other build of this"
    )
