"""Late or lost answers of the build system: nothing is built twice, and no component waits too long."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, connections

from builds.models import ComponentBuild, ModuleBuild, OutboxMessage, Phase
from builds.services import components, slots
from builds.services.build_system import build_system
from builds.workflow import sweeps
from buildsys.base import AnswerLost, BuildSystemUnavailable, Submission, TaskState, TaskStatus
from mbs.states import BuildState, ComponentState
from tests.builds.conftest import Forge, document, submitted
from tests.factories import component_build, module_build

pytestmark = pytest.mark.django_db(transaction=True)


class Hub:
    """A build system whose answers a test chooses."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.found: list[Submission | None] = [None]
        self.status = TaskStatus(7, TaskState.OPEN)

    def submit(self, jobs: list) -> list[Submission]:
        if self.error:
            raise self.error
        return [Submission(7) for _ in jobs]

    def find(self, jobs: list) -> list[Submission | None]:
        return self.found

    def statuses(self, task_ids: list[int]) -> list[TaskStatus]:
        return [self.status]

    def recover(self, task_ids: list[int]) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub()
    for module in ("components", "duplicate_tasks"):
        monkeypatch.setattr(f"builds.services.{module}.build_system", lambda: hub)
    monkeypatch.setattr(sweeps, "build_system", lambda: hub)
    return hub


@pytest.fixture
def component() -> ComponentBuild:
    """A component with a slot, a lease, and no submission."""
    build = module_build(state=BuildState.BUILD, batch=2, phase=Phase.BUILDING, koji_tag="module-x")
    component = component_build(build, scmurl="https://git.example.com/rpms/alpha", ref="0" * 40)
    assert slots.claim(component.module_build, [component])
    return component


@pytest.mark.parametrize("error", [AnswerLost("timed out"), SoftTimeLimitExceeded()])
def test_after_a_lost_answer_no_process_submits_until_the_lease_has_expired(
    hub: Hub, component: ComponentBuild, error: Exception
) -> None:
    hub.error = error
    with pytest.raises(type(error)):
        components.submit(component.module_build, [component])
    component.refresh_from_db()
    assert slots.lease(component.module_build, [component]) == ([], [])


def test_a_component_that_failed_keeps_no_lease(hub: Hub, component: ComponentBuild) -> None:
    components.fail(component.pk, "The module build was stopped.")
    component.refresh_from_db()
    assert (component.state, component.submitting_until) == (ComponentState.FAILED, None)


def test_a_temporarily_refused_component_may_be_submitted_at_once(
    hub: Hub, component: ComponentBuild
) -> None:
    hub.error = BuildSystemUnavailable("offline")
    with pytest.raises(BuildSystemUnavailable):
        components.submit(component.module_build, [component])
    component.refresh_from_db()
    assert slots.lease(component.module_build, [component]) == ([component], [])


def test_a_submission_that_could_not_be_recorded_is_looked_for_at_once(
    hub: Hub, component: ComponentBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OperationalError("the connection is gone")

    monkeypatch.setattr(components, "record", broken)
    with pytest.raises(OperationalError):
        components.submit(component.module_build, [component])
    component.refresh_from_db()
    assert slots.lease(component.module_build, [component]) == ([component], [])


@pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.CANCELED])
def test_a_task_that_failed_because_another_one_builds_the_same_is_given_up_for_it(
    hub: Hub, component: ComponentBuild, state: TaskState
) -> None:
    ComponentBuild.objects.update(task_id=7)
    hub.status = TaskStatus(7, state, reason="Build already exists (id=3, state=BUILDING)")
    hub.found = [Submission(6)]
    sweeps.open_builds()
    component.refresh_from_db()
    assert (component.state, component.task_id, component.attempt) == (ComponentState.BUILDING, None, 2)
    assert component.state_reason.startswith("Attempt 1 was lost: it is built by task 6.")


@pytest.mark.parametrize("found", [None, Submission(7)])
def test_a_task_that_failed_by_itself_has_failed(
    hub: Hub, component: ComponentBuild, found: Submission | None
) -> None:
    ComponentBuild.objects.update(task_id=7)
    hub.status, hub.found = TaskStatus(7, TaskState.FAILED, reason="rpmbuild failed"), [found]
    sweeps.open_builds()
    component.refresh_from_db()
    assert (component.state, component.state_reason) == (ComponentState.FAILED, "rpmbuild failed")


@pytest.fixture
def broken_commit(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Have the connection break at the next commit; whether that was carried out may be chosen."""
    wrapper = connections["default"]
    commit = wrapper._commit

    def arrange(carried_out: bool) -> None:
        def breaking() -> None:
            monkeypatch.setattr(wrapper, "_commit", commit)
            if carried_out:
                commit()
            wrapper.connection.close()
            raise OperationalError("the connection is gone")

        monkeypatch.setattr(wrapper, "_commit", breaking)

    return arrange


def test_a_submission_whose_commit_was_carried_out_unheard_is_answered(
    transactional_db: None, forge: Forge, sent: list[int], broken_commit: Callable[[bool], None]
) -> None:
    scmurl = forge.module("tiny", document({"alpha": ""}))
    broken_commit(True)
    (build,) = submitted(scmurl=scmurl)
    assert ModuleBuild.objects.get(name="tiny").pk == build.pk
    assert set(sent) == {build.pk}
    assert not OutboxMessage.objects.filter(published_at=None).exists()


def test_a_submission_whose_commit_was_not_carried_out_is_an_outage(
    transactional_db: None, forge: Forge, sent: list[int], broken_commit: Callable[[bool], None]
) -> None:
    scmurl = forge.module("tiny", document({"alpha": ""}))
    broken_commit(False)
    with pytest.raises(OperationalError):
        submitted(scmurl=scmurl)
    assert not ModuleBuild.objects.filter(name="tiny").exists()
    build_system.cache_clear()
    assert submitted(scmurl=scmurl)
