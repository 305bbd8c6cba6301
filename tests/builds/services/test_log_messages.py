"""Log messages: one for each event, also if a task runs twice, and a bounded number of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from celery.exceptions import Retry
from django.db import transaction

from builds.models import ComponentBuild, LogMessage, ModuleBuild
from builds.services import cancellation, components, log_messages, outages, retirement, transitions
from builds.tasks import workflow
from builds.workflow import cleanup, sweeps
from builds.workflow.parking import perform
from buildsys.base import BuildSystemUnavailable, TaskState, TaskStatus
from mbs.errors import InvalidInput, Unavailable
from mbs.states import BuildState, ComponentState
from tests.factories import START, component_build, module_build, wait

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builds.dispatch.send_now", lambda *_, countdown=0: None)


@pytest.fixture
def build() -> ModuleBuild:
    return module_build(state=BuildState.BUILD, run=1, batch=2)


def texts(of: ModuleBuild | ComponentBuild) -> list[str]:
    return list(of.log_messages.order_by("id").values_list("message", flat=True))


def meet_outage(build: ModuleBuild, task_id: str, error: Exception) -> None:
    """Run a step of a build that fails for an outage, as a worker does."""

    def step(*_: int) -> None:
        raise error

    task = workflow.tag_batch
    task.push_request(id=task_id, args=[build.pk, 1, 2], kwargs={}, headers={}, called_directly=False)
    try:
        with pytest.raises(Retry):
            perform(task, step, build.pk, 1, 2, give_up=lambda *_: False)
    finally:
        task.pop_request()


class TestBounds:
    def test_a_long_message_is_cut(self, build: ModuleBuild) -> None:
        log_messages.add([(build, "x" * 100_000)])
        (text,) = texts(build)
        assert len(text) == log_messages.MAX_LENGTH
        assert text.endswith("x ...")

    def test_the_last_message_of_a_build_states_that_there_are_too_many(self, build: ModuleBuild) -> None:
        for _ in range(3):
            log_messages.add((build, str(number)) for number in range(log_messages.MAX_OF_BUILD // 2))
        found = texts(build)
        assert len(found) == log_messages.MAX_OF_BUILD
        assert found[-2:] == [str(log_messages.MAX_OF_BUILD // 2 - 2), log_messages._FULL]

    def test_each_component_has_a_bound_of_its_own(self, build: ModuleBuild) -> None:
        one, other = component_build(build), component_build(build)
        log_messages.add((one, str(number)) for number in range(1000))
        log_messages.add([(other, "other"), (build, "build")])
        assert len(texts(one)) == log_messages.MAX_OF_COMPONENT
        assert (texts(other), texts(build)) == (["other"], ["build"])

    def test_many_messages_cost_two_statements(
        self, build: ModuleBuild, django_assert_num_queries: Callable
    ) -> None:
        members = [component_build(build) for _ in range(30)]
        with transaction.atomic(), django_assert_num_queries(2):
            log_messages.add([(build, "all"), *((each, "each") for each in members)])
        assert LogMessage.objects.count() == 31

    def test_no_messages_cost_nothing(self, django_assert_num_queries: Callable) -> None:
        with django_assert_num_queries(0):
            log_messages.add([])

    def test_a_list_of_names_is_bounded(self) -> None:
        names = [f"p{number:03}" for number in range(log_messages.MAX_NAMES + 3)]
        assert log_messages.join_names(names).endswith(f"p{log_messages.MAX_NAMES - 1:03} and 3 more")
        assert log_messages.join_names(["b", "a"]) == "a, b"


class TestOnce:
    def test_cancellations_and_resumptions_record_the_user(self, build: ModuleBuild) -> None:
        for who in ("ann", "bob"):
            with suppress(InvalidInput):
                cancellation.cancel(build, who)
        for who in ("carl", "dora"):
            cancellation.resume(build, who)
        assert texts(build) == ["Canceled by ann.", "Resumed by carl."]

    def test_retirements_record_the_user(self) -> None:
        build = module_build(state=BuildState.READY)
        retirement.retire(build, "ann")
        retirement.retire(build, "bob")
        assert texts(build) == ["Retired by ann."]

    def test_why_a_component_was_refused(self, build: ModuleBuild) -> None:
        component = component_build(build, package="alpha")
        for _ in range(2):
            components.fail(component.pk, "The package is blocked in the tag.")
        assert texts(component) == ["alpha failed: The package is blocked in the tag."]

    def test_a_lost_build_of_a_component(self, build: ModuleBuild) -> None:
        component = component_build(build, package="alpha", state=ComponentState.BUILDING, task_id=7)
        for _ in range(2):
            components.record(build, [component.pk], [TaskStatus(7, TaskState.LOST, reason="task freed")])
        assert texts(component) == ["alpha is built again. Attempt 1 was lost: task freed"]

    def test_a_failure_that_was_rolled_back_leaves_no_message(self, build: ModuleBuild) -> None:
        with suppress(ZeroDivisionError), transaction.atomic():
            transitions.fail(build.pk, InvalidInput("It is wrong."))
            raise ZeroDivisionError
        assert texts(build) == []

    def test_discarding_a_failed_build(self) -> None:
        build = module_build(state=BuildState.FAILED)
        for _ in range(2):
            cleanup.discard(build)
        (text,) = texts(build)
        assert text.startswith("It failed more than")

    def test_a_target_that_was_removed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        build = module_build(state=BuildState.READY, koji_tag="module-a", time_completed=START)
        other = module_build(state=BuildState.READY, koji_tag="module-b", time_completed=START)
        there = {"module-a"}

        class Hub:
            def prepared(self) -> list[str]:
                return sorted(there)

            def retire(self, tags: list[str]) -> None:
                there.difference_update(tags)

        monkeypatch.setattr(cleanup, "build_system", Hub)
        for _ in range(2):
            sweeps.old_targets()
        assert texts(build) == ["The build target of module-a was removed."]
        assert texts(other) == []


class TestOutages:
    AWAY = BuildSystemUnavailable("The hub is away.")
    TEXT = "The build waits for the end of an outage: The hub is away."

    def test_all_tries_of_all_tasks_are_one_message(self, build: ModuleBuild) -> None:
        for task_id in ("one", "two", "one", "two"):
            meet_outage(build, task_id, self.AWAY)
        assert texts(build) == [self.TEXT]

    def test_sweeps_and_tasks_that_meet_it_write_one_message(self, build: ModuleBuild) -> None:
        wait(build)
        outages.begin(self.AWAY)
        meet_outage(build, "one", self.AWAY)
        wait(build)
        outages.begin(self.AWAY)
        assert texts(build) == [self.TEXT]

    def test_the_next_outage_is_another_message(self, build: ModuleBuild) -> None:
        wait(build)
        for _ in range(2):
            outages.begin(self.AWAY)
            outages.end()
        assert texts(build) == [self.TEXT, self.TEXT]

    def test_builds_that_are_over_have_none(self) -> None:
        build = module_build(state=BuildState.FAILED, run=1)
        wait(build)
        outages.begin(self.AWAY)
        assert texts(build) == []

    def test_an_unexpected_error_is_a_message_for_each_try(self, build: ModuleBuild) -> None:
        for _ in range(2):
            meet_outage(build, "one", ZeroDivisionError("by zero"))
        first, second = texts(build)
        assert "ZeroDivisionError: by zero (try 1 of" in first
        assert "(try 2 of" in second

    def test_another_outage_is_named(self, build: ModuleBuild) -> None:
        meet_outage(build, "one", Unavailable("git is away."))
        assert texts(build) == ["The build waits for the end of an outage: git is away."]
