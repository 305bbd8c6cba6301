"""Failed builds on Koji: the recorded reason, and which are built again automatically."""

from __future__ import annotations

from datetime import UTC, datetime

import koji
import pytest
from celery.exceptions import Retry

from builds.consumers import handlers
from builds.consumers.koji_events import BuildChanged
from builds.models import ComponentBuild, LogMessage, ModuleBuild, Sweep, Wait
from builds.services import components, slots
from builds.services.build_system import build_system
from builds.tasks import workflow
from builds.workflow import steps, sweeps
from builds.workflow.parking import perform
from buildsys.base import BuildSystemUnavailable, TaskState, TaskStatus
from mbs.states import ComponentState
from tests.builds.workflow.on_koji import build_in_init, prepared, settle
from tests.buildsys.koji.double import HubDouble
from tests.factories import wait

#: A time in the past.
EPOCH = datetime.fromtimestamp(0, UTC)


@pytest.fixture
def component(hub: HubDouble) -> ComponentBuild:
    """A component whose build has begun."""
    build = prepared(hub, build_in_init(["one"]))
    build.component_builds.filter(batch=1).update(state=ComponentState.COMPLETE, nvr="macros-1-1")
    type(build).objects.filter(pk=build.pk).update(batch=1)
    hub.books.seconds["build"] = 3600
    steps.start_batch(build.pk, 0, 1)
    return build.component_builds.get(package="one")


def _end(hub: HubDouble, component: ComponentBuild) -> None:
    """End the build of the component."""
    task = hub.books.tasks[component.task_id]
    with hub.lock:
        task.ends = 0
    settle(hub)


@pytest.mark.django_db(transaction=True)
def test_the_reason_of_a_failure_reported_by_a_message_is_queried_once(
    hub: HubDouble, component: ComponentBuild
) -> None:
    hub.faults.breaks = [(koji.BuildError("no such macro"), {})]
    # The build fails before its task does.
    handlers.handle(BuildChanged(component.task_id, TaskState.FAILED, "one-1-1"))
    component.refresh_from_db()
    assert component.state == ComponentState.BUILDING
    _end(hub, component)
    hub.log.clear()
    handlers.handle(BuildChanged(component.task_id, TaskState.FAILED))
    handlers.handle(BuildChanged(component.task_id, TaskState.FAILED))
    component.refresh_from_db()
    assert (component.state, component.state_reason) == (ComponentState.FAILED, "no such macro")
    assert [method for request in hub.log for method in request].count("getTaskResult") == 1


@pytest.mark.django_db(transaction=True)
def test_infrastructure_failures_are_repeated_twice(hub: HubDouble, component: ComponentBuild) -> None:
    build = component.module_build
    for attempt in (1, 2, 3):
        hub.faults.breaks = [(koji.BuildError("mock was killed by signal 9; see root.log"), {})]
        _end(hub, component)
        components.record(build, [component.pk], build_system().statuses([component.task_id]))
        component.refresh_from_db()
        if attempt < 3:
            assert (component.state, component.task_id) == (ComponentState.BUILDING, None)
            components.submit(build, [component])
            component.refresh_from_db()
    assert (component.state, component.attempt) == (ComponentState.FAILED, 3)
    messages = [each.message for each in LogMessage.objects.filter(component_build=component).order_by("id")]
    assert [message for message in messages if "is built again." in message] == [
        f"one is built again. Attempt {number} failed because of the infrastructure: "
        "mock was killed by signal 9; see root.log"
        for number in (1, 2)
    ]


@pytest.mark.django_db(transaction=True)
def test_an_option_limits_the_repetitions(hub: HubDouble, component: ComponentBuild, settings) -> None:
    settings.MBS = settings.MBS.model_copy(update={"INFRASTRUCTURE_RETRIES": 0})
    status = TaskStatus(component.task_id, TaskState.FAILED, reason="killed", infrastructure=True)
    components.record(component.module_build, [component.pk], [status])
    component.refresh_from_db()
    assert component.state == ComponentState.FAILED


@pytest.fixture
def given(hub: HubDouble, settings) -> ModuleBuild:
    """A build of which three components have got slots from others, and no submission yet."""
    settings.MBS = settings.MBS.model_copy(update={"NUM_CONCURRENT_BUILDS": 3})
    build = prepared(hub, build_in_init([f"p{number}" for number in range(9)]))
    build.component_builds.filter(batch=1).update(state=ComponentState.COMPLETE, nvr="macros-1-1")
    type(build).objects.filter(pk=build.pk).update(batch=1)
    steps.start_batch(build.pk, 0, 1)
    settle(hub)
    ended = list(build.component_builds.exclude(task_id=None).filter(batch=2))
    components.record(
        build, [each.pk for each in ended], build_system().statuses([each.task_id for each in ended])
    )
    slots.hand_out()
    hub.log.clear()
    return build


@pytest.mark.django_db(transaction=True)
def test_slots_that_become_free_together_are_filled_together_without_a_search(
    hub: HubDouble, given: ModuleBuild
) -> None:
    steps.submit_given(given.pk, 0)
    assert [request for request in hub.log if "build" in request] == [["build"] * 3]
    assert not any("listTasks" in request for request in hub.log)


@pytest.mark.django_db(transaction=True)
def test_builds_whose_submission_was_not_recorded_are_found_and_not_built_again(
    hub: HubDouble, given: ModuleBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(components, "_record_submitted", lambda *_: exit())
        with pytest.raises(SystemExit):
            steps.submit_given(given.pk, 0)
    given.component_builds.exclude(submitting_until=None).update(submitting_until=EPOCH)
    steps.submit_given(given.pk, 0)
    assert [request for request in hub.log if "build" in request] == [["build"] * 3]
    assert given.component_builds.exclude(task_id=None).filter(batch=2).count() == 6


# -- outages -------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_an_outage_is_shown_in_all_waits_and_logged_once(
    hub: HubDouble, component: ComponentBuild, caplog: pytest.LogCaptureFixture
) -> None:
    waits = [
        wait(component.module_build, key=component.wait_key, what="one is being built"),
        wait(component.module_build, key="slot:1", what="two waits for a slot"),
        wait(component.module_build, key="retry:x", what="an outage: the hub hung"),
    ]
    hub.faults.offline = True
    for _ in range(2):
        assert sweeps.run("open_builds")
    texts = [Wait.objects.get(pk=each.pk).what for each in waits]
    outage = "an outage: The Koji hub is unavailable at present: database outage; until it is over: "
    assert texts == [
        f"{outage}one is being built",
        f"{outage}two waits for a slot",
        "an outage: the hub hung",
    ]
    assert Sweep.objects.get(name="open_builds").error.endswith("database outage")
    lines = [record for record in caplog.records if record.name.startswith("builds.")]
    assert len(lines) == 2
    assert not any(record.exc_info for record in lines)
    hub.faults.offline = False
    assert sweeps.run("open_builds")
    assert [Wait.objects.get(pk=each.pk).what for each in waits] == [
        "one is being built",
        "two waits for a slot",
        "an outage: the hub hung",
    ]


@pytest.mark.django_db(transaction=True)
def test_a_task_in_an_outage_shows_the_remedy(hub: HubDouble, component: ComponentBuild) -> None:
    def step(*_: int) -> None:
        raise BuildSystemUnavailable("It is being imported.", hint="Remove the folder.")

    task = workflow.tag_batch
    arguments = [component.module_build_id, 0, 2]
    task.push_request(id="one", args=arguments, kwargs={}, headers={}, called_directly=False)
    try:
        with pytest.raises(Retry):
            perform(task, step, *arguments, give_up=lambda *_: False)
    finally:
        task.pop_request()
    assert (
        Wait.objects.get(celery_task_id="one").what == "an outage: It is being imported. Remove the folder."
    )
