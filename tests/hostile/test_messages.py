"""Forged messages on the bus: only facts that the hub confirms are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pytest
from fedora_messaging.exceptions import ValidationError

from builds.consumers import decoding, handlers
from builds.consumers.koji_events import BuildChanged, BuildTagged
from builds.models import ComponentBuild, ModuleBuild, Phase
from builds.services import confirmation, tagging
from buildsys.base import TaskState
from mbs.states import BuildState, ComponentState
from tests import factories
from tests.buildsys.koji.double import HubDouble
from tests.buildsys.rigs import KojiRig, koji_system

FOREIGN = "openssl-3.0-1.el9"


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KojiRig]:
    """A hub whose builds take an hour, as the build system of the service."""
    double = HubDouble(build_seconds=3600).start()
    rig = KojiRig(koji_system(double, tmp_path), ("x86_64",), double=double)
    monkeypatch.setattr(confirmation, "build_system", lambda: rig.system)
    monkeypatch.setattr(tagging, "build_system", lambda: rig.system)
    monkeypatch.setattr(confirmation._Outage, "until", 0.0)
    yield rig
    double.stop()


@pytest.fixture
def build(db: None, rig: KojiRig) -> ModuleBuild:
    """A module build whose components one, two ... build on the hub."""
    module = rig.module()
    rig.system.prepare(module, [f"package{number}" for number in range(3)])
    build = factories.module_build(
        state=BuildState.BUILD,
        batch=2,
        phase=Phase.BUILDING,
        koji_tag=module.tag,
        disttag=module.disttag,
        modulemd=module.modulemd,
        arch_names=list(module.arches),
    )
    for number, submission in enumerate(
        rig.system.submit([rig.job(module, number, f"package{number}") for number in range(3)])
    ):
        factories.component_build(
            build,
            package=f"package{number}",
            state=ComponentState.BUILDING,
            task_id=submission.task_id,
        )
    rig.double.log.clear()
    return build


def component(build: ModuleBuild, number: int = 0) -> ComponentBuild:
    found: ComponentBuild = build.component_builds.get(package=f"package{number}")
    return found


def end(rig: KojiRig, task_id: int, state: str = "COMPLETE") -> str:
    """The hub completes a build, whose task is still open; answers its NVR."""
    with rig.double.lock:
        task = rig.double.books.tasks[task_id]
        source, target, _ = task.request
        _, nvr = rig.double._sources(task, source, rig.double.books.targets[target])
        made = rig.double.books.new_build(nvr, "BUILDING", task_id=task_id)
        rig.double.books.set_state(made, state)
    return nvr


@pytest.mark.parametrize("encoding", ["punycode", "idna", "utf-7", "hex", "\0", "x" * 1000])
def test_no_other_encoding_than_utf_8_is_decoded(encoding: str) -> None:
    """Megabytes of punycode would take hours, in the thread that all messages need."""
    properties = pika.BasicProperties(content_encoding=encoding)
    with pytest.raises(ValidationError):
        decoding.decode("x", properties, b"{}")


@pytest.mark.parametrize("state", [TaskState.COMPLETE, TaskState.FAILED, TaskState.CANCELED])
@pytest.mark.parametrize("nvr", [FOREIGN, ""])
def test_a_forged_end_is_not_recorded(build: ModuleBuild, state: TaskState, nvr: str) -> None:
    handlers.handle(BuildChanged(int(component(build).task_id or 0), state, nvr))
    assert (component(build).state, component(build).nvr) == (ComponentState.BUILDING, None)


def test_a_forged_name_is_not_recorded_when_the_build_has_ended(
    build: ModuleBuild, rig: KojiRig, caplog
) -> None:
    task_id = int(component(build).task_id or 0)
    nvr = end(rig, task_id)
    handlers.handle(BuildChanged(task_id, TaskState.COMPLETE, FOREIGN))
    assert (component(build).state, component(build).nvr) == (ComponentState.COMPLETE, nvr)
    assert FOREIGN in caplog.text


@pytest.mark.parametrize(
    ("ends", "claimed"),
    [("CANCELED", TaskState.COMPLETE), ("COMPLETE", TaskState.FAILED)],
)
def test_the_end_of_a_build_is_read_from_the_hub(
    build: ModuleBuild, rig: KojiRig, ends: str, claimed: TaskState
) -> None:
    task_id = int(component(build).task_id or 0)
    nvr = end(rig, task_id, ends)
    handlers.handle(BuildChanged(task_id, claimed, nvr))
    assert component(build).state == ComponentState[ends]
    assert bool(component(build).state_reason) is (ends != "COMPLETE")


def test_a_failure_is_recorded_with_the_reason_that_the_hub_gives(build: ModuleBuild, rig: KojiRig) -> None:
    """A build fails before its task does, and only the task has the reason."""
    task_id = int(component(build).task_id or 0)
    handlers.handle(BuildChanged(task_id, TaskState.FAILED, end(rig, task_id, "FAILED")))
    assert component(build).state == ComponentState.BUILDING
    rig.double.books.close(rig.double.books.tasks[task_id], "FAILED")
    handlers.handle(BuildChanged(task_id, TaskState.FAILED, ""))
    assert component(build).state == ComponentState.FAILED
    assert component(build).state_reason


def test_a_build_that_is_complete_before_its_task_is_closed_is_recorded(
    build: ModuleBuild, rig: KojiRig
) -> None:
    task_id = int(component(build).task_id or 0)
    nvr = end(rig, task_id)
    assert rig.system.statuses([task_id])[0].state is TaskState.OPEN
    handlers.handle(BuildChanged(task_id, TaskState.COMPLETE, nvr))
    assert (component(build).state, component(build).nvr) == (ComponentState.COMPLETE, nvr)


def test_builds_of_a_module_that_end_together_cost_one_round_trip(build: ModuleBuild, rig: KojiRig) -> None:
    ended = {number: end(rig, int(component(build, number).task_id or 0)) for number in range(3)}
    for number, nvr in ended.items():
        handlers.handle(BuildChanged(int(component(build, number).task_id or 0), TaskState.COMPLETE, nvr))
    assert [component(build, number).nvr for number in range(3)] == list(ended.values())
    assert len(rig.double.log) == 1


def test_a_hub_that_is_away_is_asked_by_the_sweep(
    build: ModuleBuild, rig: KojiRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = int(component(build).task_id or 0)
    nvr = end(rig, task_id)
    rig.double.faults.status = 503
    handlers.handle(BuildChanged(task_id, TaskState.COMPLETE, nvr))
    asked = len(rig.double.log)
    handlers.handle(BuildChanged(task_id, TaskState.COMPLETE, nvr))
    assert len(rig.double.log) == asked
    assert component(build).state == ComponentState.BUILDING
    rig.double.faults.status = 200
    monkeypatch.setattr(confirmation._Outage, "until", 0.0)
    handlers.handle(BuildChanged(task_id, TaskState.COMPLETE, nvr))
    assert component(build).state == ComponentState.COMPLETE


@pytest.mark.parametrize("phase", [Phase.BUILDING, Phase.TAGGING])
def test_a_forged_tag_does_not_let_a_batch_go_on(
    build: ModuleBuild, rig: KojiRig, phase: Phase, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    ended = {number: end(rig, int(component(build, number).task_id or 0)) for number in range(3)}
    for number, nvr in ended.items():
        handlers.handle(BuildChanged(int(component(build, number).task_id or 0), TaskState.COMPLETE, nvr))
    ModuleBuild.objects.filter(pk=build.pk).update(phase=phase)
    rig.double.books.seconds["tagBuild"] = 3600
    with django_capture_on_commit_callbacks(execute=True):
        for nvr in ended.values():
            for tag in (str(build.koji_tag), f"{build.koji_tag}-build"):
                handlers.handle(BuildTagged(tag, nvr))
    if phase is Phase.BUILDING:
        assert not build.component_builds.filter(tagged=True).exists()
    members = list(build.component_builds.all())
    assert not tagging.tag(build, members)
    assert not build.component_builds.filter(tagged=True).exists()
    asked = [task.request for task in rig.double.books.tasks.values() if task.method == "tagBuild"]
    assert len(asked) == 2 * len(members)
