"""For every task whose message Redis loses, a sweep does the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from celery import current_app
from django.utils import timezone

from builds import dispatch
from builds.models import ComponentBuild, ModuleBuild, Phase, Wait
from builds.services import cancellation, retirement
from builds.services.build_system import build_system
from builds.workflow import checks, sweeps
from buildsys.base import BuildSystem
from mbs.states import BuildState, ComponentState
from tests.factories import component_build, module_build, wait

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = timezone.now() - timedelta(hours=1)
#: a task, and what a sweep does in its place
Happened = list[tuple[object, ...]]


@pytest.fixture
def happened(monkeypatch: pytest.MonkeyPatch) -> Happened:
    """What sweeps sent, woke, and asked of the build system."""
    done: Happened = []
    monkeypatch.setattr(dispatch, "send_now", lambda *task, countdown=0: done.append(task))
    monkeypatch.setattr(
        dispatch, "wake_waits", lambda waits: done.extend(("wake", each.key) for each in waits)
    )
    return done


@pytest.fixture(autouse=True)
def system(
    happened: Happened, option: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[BuildSystem]:
    option(SIMULATED_BUILD_SECONDS=3600, NUM_CONCURRENT_BUILDS=1)
    build_system.cache_clear()
    system = build_system()
    monkeypatch.setattr(system, "abandon", lambda module: happened.append(("abandon", module.id)))
    monkeypatch.setattr(retirement, "withdraw", lambda number: happened.append(("withdraw", number)))
    monkeypatch.setattr(system, "recover", lambda tasks: happened.extend(("recover", each) for each in tasks))
    yield system
    build_system.cache_clear()


def started(state: BuildState, phase: Phase = Phase.DONE, **fields: object) -> ModuleBuild:
    values = {"batch": 2, "batches": 3, "run": 1, "arch_names": ["x86_64"], "progress_at": LONG_AGO}
    return module_build(state=state, phase=phase, **{**values, **fields})


def step(state: BuildState, phase: Phase = Phase.DONE) -> tuple[object, ...]:
    """A step of the canvas: the next one is not parked yet, or it was begun and its worker died."""
    return "workflow.advance", started(state, phase).pk


def last_of_chord() -> tuple[object, ...]:
    build = started(BuildState.BUILD, Phase.BUILDING)
    component_build(build, state=ComponentState.COMPLETE)
    return "workflow.advance", build.pk


def parked(key: str, component: dict[str, object] | None = None, **fields: object) -> tuple[object, ...]:
    build = started(BuildState.BUILD, Phase.BUILDING)
    about = component_build(build, **component) if component is not None else None
    wait(build, key=key, component_build=about, created_at=LONG_AGO, **fields)
    return "wake", key


def unstopped() -> tuple[object, ...]:
    build = started(BuildState.FAILED)
    component_build(build, state=ComponentState.BUILDING)
    return "workflow.stop_components", build.pk


def unabandoned() -> tuple[object, ...]:
    build = started(BuildState.BUILD)
    cancellation.cancel(build, "ann")
    return "abandon", build.pk


def undelivered() -> tuple[object, ...]:
    build = started(BuildState.GARBAGE, repository_url="https://mbs.example.com/results/quiet")
    return "withdraw", build.pk


def unbuilt() -> tuple[object, ...]:
    build = started(BuildState.BUILD, Phase.BUILDING)
    component_build(build, state=ComponentState.BUILDING, task_id=4711)
    return "recover", 4711


LOST: dict[str, Callable[[], tuple[object, ...]]] = {
    "workflow.advance": lambda: step(BuildState.INIT),
    "workflow.initialize": lambda: step(BuildState.INIT),
    "workflow.prepare": lambda: step(BuildState.WAIT),
    "workflow.start_batch": lambda: step(BuildState.BUILD),
    "workflow.submit_given": lambda: parked("component:1", {"state": ComponentState.BUILDING}),
    "workflow.build_component": lambda: parked("component:1", {"state": ComponentState.COMPLETE}),
    "workflow.finish_batch": last_of_chord,
    "workflow.tag_batch": lambda: step(BuildState.BUILD, Phase.TAGGING),
    "workflow.regenerate_repo": lambda: step(BuildState.BUILD, Phase.REGENERATING),
    "workflow.renew_buildroot": lambda: parked("after:1", {"blocked": True}),
    "workflow.finalize": lambda: step(BuildState.DONE),
    "workflow.stop_components": unstopped,
    "workflow.abandon": unabandoned,
    "workflow.withdraw": undelivered,
    "workflow.recover_lost": lambda: ("workflow.recover_lost",),
    checks.TASK: lambda: parked("check:1"),
    "builder.run": unbuilt,
    "poll.ended": unbuilt,
}
#: The next comparison sends it again: without subjects of commits, nothing waits.
UNSWEPT = {"check.commits"}


def all_sweeps() -> None:
    """Run each sweep once, the part that runs on the workflow's queue included."""
    for sweep in sweeps.SWEEPS.values():
        sweep()
    sweeps.recover_lost(timezone.now().timestamp())


def test_every_task_has_a_sweep_in_case_its_message_is_lost() -> None:
    """A new task gets an entry in ``LOST``, and a line in ``docs/architecture.md``."""
    current_app.loader.import_default_modules()
    own = {name for name in current_app.tasks if not name.startswith(("celery.", "sweep.", "tests."))}
    assert own - UNSWEPT == set(LOST)


@pytest.mark.parametrize("task", LOST)
def test_a_sweep_does_the_work_of_a_lost_message(task: str, happened: Happened) -> None:
    expected = LOST[task]()
    happened.clear()
    all_sweeps()
    assert any(each[: len(expected)] == expected for each in happened), happened


@pytest.mark.parametrize("kind", ["retry", "tag", "repo", "slot"])
def test_a_task_that_tries_again_or_was_woken_is_woken_once_more(kind: str, happened: Happened) -> None:
    parked(f"{kind}:1", woken_at=LONG_AGO)
    all_sweeps()
    assert ("wake", f"{kind}:1") in happened


def test_a_component_for_which_there_is_a_slot_is_given_it(happened: Happened) -> None:
    """The message about the slot that became free is lost."""
    build = started(BuildState.BUILD, Phase.BUILDING)
    component = component_build(build)
    wait(build, key=f"slot:{component.pk}", component_build=component)
    all_sweeps()
    assert ("workflow.submit_given", build.pk, 1) in happened
    assert ComponentBuild.objects.get().state == ComponentState.BUILDING
    assert Wait.objects.get().key == component.wait_key
