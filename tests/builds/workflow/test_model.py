"""Random orders of events, sweeps, crashes, cancellations, outages and clocks: every build ends correctly.

``MBS_MODEL_RUNS`` is the number of runs (default 25), ``MBS_MODEL_STEPS`` that of steps in each (default 40).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.apps import apps
from django.conf import settings as options
from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from builds import dispatch
from builds.consumers import handlers
from builds.consumers.koji_events import BuildChanged
from builds.models import ComponentBuild, ModuleBuild, Wait
from builds.services import cancellation
from builds.services.build_system import build_system
from builds.workflow import sweeps
from buildsys.base import TaskState
from mbs.errors import Conflict, InvalidInput
from mbs.states import BuildState, ComponentState
from tests.builds.workflow.model.hub import Hub, Task
from tests.builds.workflow.model.world import World, world
from tests.builds.workflow.modules import make_build, make_graph

RUNS = int(os.environ.get("MBS_MODEL_RUNS", 25))
STEPS = int(os.environ.get("MBS_MODEL_STEPS", 40))
SHAPES: list[Callable[..., ModuleBuild]] = [
    lambda: make_build(["a"], ["b", "c"], owner="ann"),
    lambda: make_build(["d", "e", "f"], owner="bob"),
    lambda: make_graph(base=[], tool=["base"], app=["base", "tool"]),
    lambda: make_build(["g"], owner="bob"),
]
NAMES = ["lost_work", "stuck_waits", "open_builds", "failed_builds", "open_repos"]
#: rounds after which a world without faults must be quiet
ROUNDS = 60


class Workflow(RuleBasedStateMachine):
    """Builds in a world where everything may go wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.patch = self.stack.enter_context(pytest.MonkeyPatch.context())
        self.hub = Hub()
        self.patch.setattr("buildsys.registry.create", lambda *_: self.hub)
        build_system.cache_clear()
        empty_database()
        current_app.backend.client.flushall()
        self.world: World = self.stack.enter_context(world())
        self.broken: set[int] = set()

    @initialize(
        shapes=st.lists(st.sampled_from(range(len(SHAPES))), min_size=1, max_size=3),
        limit=st.sampled_from([0, 1, 2]),
    )
    def begin(self, shapes: list[int], limit: int) -> None:
        self.limit = limit
        changed = options.MBS.model_copy(update={"NUM_CONCURRENT_BUILDS": limit})
        self.patch.setattr(options, "MBS", changed)
        self.builds = [SHAPES[shape]().pk for shape in shapes]
        for build in self.builds:
            dispatch.advance(build)

    # What may happen, also while something else is under way.

    def act(self, kind: str, number: int) -> Callable[[], object] | None:
        """What happens; None: the process under way is killed."""
        acts: dict[str, Callable[[], object] | None] = {
            "die": None,
            "cancel": lambda: self.do_cancel(number),
            "resume": lambda: self.do_resume(number),
            "deliver": lambda: self.do_deliver(number),
            "finish": lambda: self.do_finish(number, TaskState.COMPLETE, told=True),
            "sweep": lambda: self.do_sweep(NAMES[number % len(NAMES)]),
            "wait": lambda: self.pass_time(100),
        }
        return acts[kind]

    interruptions = st.one_of(
        st.just((0, "die", 0)),
        st.tuples(
            st.integers(1, 40),
            st.sampled_from(["die", "die", "cancel", "resume", "deliver", "finish", "sweep", "wait"]),
            st.integers(0, 20),
        ),
    )

    def do_deliver(self, number: int, interruption: tuple[int, str, int] = (0, "die", 0)) -> None:
        at, kind, which = interruption
        if self.world.queue:
            self.world.deliver(number % len(self.world.queue), at, self.act(kind, which))

    def do_sweep(self, name: str, interruption: tuple[int, str, int] = (0, "die", 0)) -> None:
        at, kind, which = interruption
        with suppress(Exception if self.hub.away else ()):
            self.world.process(sweeps.SWEEPS[name], at, self.act(kind, which))

    def do_cancel(self, number: int) -> None:
        with suppress(InvalidInput):
            cancellation.cancel(self.build(number), "ann")

    def do_resume(self, number: int) -> None:
        with suppress(Conflict):
            cancellation.resume(self.build(number), "ann")

    def build(self, number: int) -> ModuleBuild:
        return ModuleBuild.objects.get(pk=self.builds[number % len(self.builds)])

    def do_finish(self, number: int, state: TaskState, *, told: bool) -> None:
        open_ = self.hub.open_tasks()
        if open_:
            task = open_[number % len(open_)]
            task.state = state
            if state is not TaskState.COMPLETE:
                self.broken.add(task.component)
            if told:
                self.tell(task)

    def tell(self, task: Task, *interruption: Any) -> None:
        event = BuildChanged(task.id, task.state, task.nvr)
        self.world.process(lambda: handlers.handle(event), *interruption)

    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)
        self.hub.pass_time()

    @rule(number=st.integers(0, 20), interruption=interruptions)
    def deliver(self, number: int, interruption: tuple[int, str, int]) -> None:
        self.do_deliver(number, interruption)

    @rule(times=st.integers(1, 12))
    def work(self, times: int) -> None:
        for _ in range(times):
            self.do_deliver(0)

    @rule(
        number=st.integers(0, 20),
        state=st.sampled_from([*[TaskState.COMPLETE] * 4, TaskState.FAILED, TaskState.LOST]),
        told=st.booleans(),
    )
    def finish(self, number: int, state: TaskState, told: bool) -> None:
        self.do_finish(number, state, told=told)

    @rule(number=st.integers(0, 50), interruption=interruptions)
    def tell_again(self, number: int, interruption: tuple[int, str, int]) -> None:
        """A message of the bus comes late, twice, or is interrupted."""
        ended = [task for task in self.hub.tasks.values() if task.state is not TaskState.OPEN]
        if ended:
            at, kind, which = interruption
            self.tell(ended[number % len(ended)], at, self.act(kind, which))

    @rule(name=st.sampled_from(NAMES), interruption=interruptions)
    def sweep(self, name: str, interruption: tuple[int, str, int]) -> None:
        self.do_sweep(name, interruption)

    @rule(number=st.integers(0, 2))
    def cancel(self, number: int) -> None:
        self.do_cancel(number)

    @rule(number=st.integers(0, 2))
    def resume(self, number: int) -> None:
        self.do_resume(number)

    @rule(seconds=st.sampled_from([5, 100, 400]))
    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(number=st.integers(0, 20))
    def double(self, number: int) -> None:
        queue = self.world.queue
        if queue:
            queue.append(queue[number % len(queue)])

    @rule()
    def empty_broker(self) -> None:
        self.world.empty_broker()

    @rule(away=st.booleans())
    def outage(self, away: bool) -> None:
        self.hub.away = away

    @rule(seconds=st.sampled_from([-400, -40, 0, 0, 40, 400]))
    def clock(self, seconds: int) -> None:
        """The processes from here on run on a machine with another clock."""
        self.world.skew = timedelta(seconds=seconds)

    # What holds.

    @invariant()
    def no_more_than_the_limit_build(self) -> None:
        if getattr(self, "limit", 0):
            building = ComponentBuild.objects.filter(state=ComponentState.BUILDING).count()
            assert building <= self.limit
            assert len(self.hub.open_tasks()) <= self.limit

    @invariant()
    def nothing_is_built_twice(self) -> None:
        open_ = Counter(task.component for task in self.hub.open_tasks())
        done = Counter(t.component for t in self.hub.tasks.values() if t.state is TaskState.COMPLETE)
        assert max((open_ + done).values(), default=0) <= 1, (open_, done)
        assert self.hub.faults == []

    def settle(self) -> None:
        """Nothing goes wrong any more: soon nothing is left to do."""
        self.hub.away, self.world.skew = False, timedelta(0)
        for _ in range(ROUNDS):
            for _ in range(300):
                if not self.world.queue:
                    break
                self.do_deliver(0)
            # What builds for a failed build is cancelled by the service, not ended by the hub.
            failed = ModuleBuild.objects.filter(state=BuildState.FAILED)
            useless = set(failed.values_list("component_builds", flat=True))
            for task in self.hub.open_tasks():
                if task.component not in useless:
                    task.state = TaskState.COMPLETE
            self.no_more_than_the_limit_build()
            self.nothing_is_built_twice()
            if not self.world.queue and self.is_quiet():
                return
            self.pass_time(400)
            for name in NAMES:
                self.do_sweep(name)
        raise AssertionError(f"not quiet: {self.state()}")

    def is_quiet(self) -> bool:
        ended = (BuildState.READY, BuildState.FAILED)
        return not (
            ModuleBuild.objects.exclude(state__in=ended).exists()
            or Wait.objects.exists()
            or ComponentBuild.objects.filter(state=ComponentState.BUILDING).exists()
            or ModuleBuild.objects.exclude(abandon_since=None).exists()
            or self.hub.open_tasks()
        )

    def state(self) -> object:
        return (
            list(ModuleBuild.objects.values_list("pk", "state", "state_reason", "run", "batch", "phase")),
            list(ComponentBuild.objects.values_list("pk", "module_build", "state", "task_id", "blocked")),
            list(Wait.objects.values_list("key", "run", "woken_at", "what")),
            [message.name for message in self.world.queue],
        )

    def teardown(self) -> None:
        try:
            if hasattr(self, "builds"):
                self.check_the_end()
        finally:
            self.stack.close()
            build_system.cache_clear()

    def check_the_end(self) -> None:
        self.settle()
        for build in ModuleBuild.objects.filter(state=BuildState.FAILED):
            members = set(build.component_builds.values_list("pk", flat=True))
            expected = {"canceled"} | ({"component_failed"} if members & self.broken else set())
            assert build.error_code in expected, (build.error_code, build.state_reason)
            cancellation.resume(build, "ann")
        self.settle()
        assert set(ModuleBuild.objects.values_list("state", flat=True)) == {BuildState.READY}, self.state()
        for component in ComponentBuild.objects.all():
            assert self.hub.tasks[component.task_id].component == component.pk
            assert component.state == ComponentState.COMPLETE
        assert not ComponentBuild.objects.exclude(submitting_until=None).exists()


def empty_database() -> None:
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        for model in apps.get_app_config("builds").get_models(include_auto_created=True):
            cursor.execute(f'DELETE FROM "{model._meta.db_table}"')


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    "connection.vendor != 'sqlite'", reason="one process at a time: races are tested elsewhere"
)
def test_every_build_ends_as_it_should(settings: Any) -> None:
    settings.MBS = settings.MBS.model_copy(update={"MESSAGING": "log", "LOG_LEVEL": "error"})
    run_state_machine_as_test(Workflow, settings=SIZE)


SIZE = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=[Phase.generate] if os.environ.get("MBS_MODEL_NOSHRINK") else list(Phase),
)
