"""Builds that failed: why, whose fault it was, and what is built again by itself."""

from __future__ import annotations

import koji
import pytest
from celery.exceptions import Retry
from koji.xmlrpcplus import Fault

from builds.consumers import handlers
from builds.consumers.koji_events import BuildChanged
from builds.models import ComponentBuild, LogMessage, Sweep, Wait
from builds.services import components, slots
from builds.services.build_system import build_system
from builds.tasks import workflow
from builds.workflow import steps, sweeps
from builds.workflow.parking import perform
from buildsys.base import BuildSystemUnavailable, TaskState, TaskStatus
from buildsys.excerpts import ExplainsFailures
from mbs.states import ComponentState
from tests.buildsys.rigs import KojiRig
from tests.factories import wait
from tests.koji.double import HubDouble
from tests.koji.test_steps import build_in_init, hub, prepared, settle

__all__ = ["hub"]
ROOT_30 = (
    "error building package (arch x86_64), mock exited with status 30; see root.log for more information"
)
INIT = "could not init mock buildroot, mock exited with status 30; see root.log for more information"


@pytest.mark.parametrize(
    ("fault", "logs"),
    [
        (
            koji.BuildrootError(INIT),
            {"root.log": "Curl error (6): Could not resolve host: repos.example.org"},
        ),
        (koji.BuildrootError(INIT), {"mock_output.log": "x" * 50_000 + "No space left on device"}),
        (
            koji.BuildError(ROOT_30),
            {"root.log": "Error: Failed to download metadata for repo 'build'" + "x" * 9},
        ),
        (
            Fault(
                1, "Traceback (most recent call last):\nOSError: [Errno 28] No space left on device: '/var'"
            ),
            {},
        ),
        (
            koji.BuildError(
                "error building package (arch x86_64), mock was killed by signal 9; see root.log"
            ),
            {},
        ),
        (
            koji.GenericError('Error running GIT command "git clone", see checkout.log for details'),
            {"checkout.log": "fatal: unable to access 'https://x/': Could not resolve host: x"},
        ),
        (koji.GenericError("Unsuccessfully waited 2:00:00 for a new module-x-build repo"), {}),
    ],
)
def test_what_the_builders_failed_is_their_fault(
    rig: KojiRig, fault: Exception, logs: dict[str, str]
) -> None:
    rig.double.faults.breaks = [(fault, logs)]
    (status,) = rig.end(rig.system.submit([rig.job(rig.module(), 1, "one")]))
    assert (status.state, status.infrastructure) == (TaskState.FAILED, True)


@pytest.mark.parametrize(
    ("fault", "logs"),
    [
        (
            koji.BuildError("error building package (arch x86_64), mock exited with status 1; see build.log"),
            {"build.log": "tests: Connection refused; No space left on device"},
        ),
        (koji.BuildError(ROOT_30), {"root.log": "No matching package to install: 'gone-devel'"}),
        (koji.BuildrootError(INIT), {"root.log": "nothing provides libfoo needed by bar"}),
        (koji.BuildError("package one not in list for tag module-x"), {}),
        (
            koji.GenericError('Error running GIT command "git reset", see checkout.log for details'),
            {"checkout.log": "fatal: Could not parse object '0123'"},
        ),
    ],
)
def test_what_the_sources_failed_is_theirs(rig: KojiRig, fault: Exception, logs: dict[str, str]) -> None:
    rig.double.faults.breaks = [(fault, logs)]
    (status,) = rig.end(rig.system.submit([rig.job(rig.module(), 1, "one")]))
    assert (status.state, status.infrastructure) == (TaskState.FAILED, False)


def test_a_task_that_came_too_late_is_complete_by_the_build_of_the_other(rig: KojiRig) -> None:
    module = rig.module()
    jobs = [rig.job(module, 1, "one")]
    nvr = rig.build(jobs[0])
    source, target, options = next(
        task.request for task in rig.double.books.tasks.values() if task.method == "build"
    )
    late = rig.double.build(rig.double.callers["mbs"], source, target, options)
    other = rig.double.build(rig.double.callers["mbs"], source.replace("0123", "abcd"), target, options)
    rig.double.books.tick()
    rig.double.books.tick()
    late_status, other_status = rig.system.statuses([late, other])
    assert (late_status.state, late_status.nvr) == (TaskState.COMPLETE, nvr)
    assert other_status.state is TaskState.FAILED
    assert other_status.reason.startswith("Build already exists")


def test_a_package_named_otherwise_than_its_component_is_found_again(rig: KojiRig) -> None:
    rig.double.books.spec_names["one"] = "uno"
    module = rig.module()
    jobs = [rig.job(module, 1, "one")]
    submissions = rig.system.submit(jobs)
    (status,) = rig.end(submissions)
    assert status.nvr.startswith("uno-")
    assert rig.system.find(jobs) == submissions
    rig.double.deleteBuild(rig.double.callers["kojiadmin"], status.nvr)
    assert rig.system.find(jobs) == [None]


# -- what the service makes of it ----------------------------------------------------------------------------


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
    """Have the component's build end."""
    task = hub.books.tasks[component.task_id]
    with hub.lock:
        task.ends = 0
    settle(hub)


@pytest.mark.django_db(transaction=True)
def test_the_reason_of_a_failure_that_a_message_told_is_asked_for_once(
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
def test_what_the_infrastructure_failed_is_built_again_twice(
    hub: HubDouble, component: ComponentBuild
) -> None:
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
def test_an_option_says_how_often(hub: HubDouble, component: ComponentBuild, settings) -> None:
    settings.MBS = settings.MBS.model_copy(update={"INFRASTRUCTURE_RETRIES": 0})
    status = TaskStatus(component.task_id, TaskState.FAILED, reason="killed", infrastructure=True)
    components.record(component.module_build, [component.pk], [status])
    component.refresh_from_db()
    assert component.state == ComponentState.FAILED


@pytest.mark.django_db(transaction=True)
def test_slots_that_become_free_together_are_filled_together(hub: HubDouble, settings) -> None:
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
    steps.submit_given(build.pk, 0)
    assert [request for request in hub.log if "build" in request] == [["build"] * 3]


# -- outages -------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_during_an_outage_everything_that_waits_says_so_and_the_log_has_one_line(
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
def test_a_task_that_meets_an_outage_says_the_remedy(hub: HubDouble, component: ComponentBuild) -> None:
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


def test_the_log_that_a_reason_names_explains_it(rig: KojiRig) -> None:
    fault = koji.BuildError(
        "error building package (arch x86_64), mock exited with status 1; see build.log for more information"
    )
    log = "one\nx.c:1:2: error: no such thing\nmake: *** [x.o] Error 1\n"
    rig.double.faults.breaks = [(fault, {"build.log": log, "root.log": "x.c:1: error: not this one"})]
    (status,) = rig.end(rig.system.submit([rig.job(rig.module(), 1, "one")]))
    assert isinstance(rig.system, ExplainsFailures)
    found = rig.system.explain([status.task_id])[status.task_id]
    assert (found.log, found.line, found.cause) == ("build.log", 2, "x.c:1:2: error: no such thing")


def test_of_a_long_log_the_end_is_read_and_no_line_is_numbered(rig: KojiRig) -> None:
    log = "noise\n" * 100_000 + "No matching package to install: 'gone-devel'\n"
    rig.double.faults.breaks = [(koji.BuildError(ROOT_30), {"root.log": log})]
    (status,) = rig.end(rig.system.submit([rig.job(rig.module(), 1, "one")]))
    assert isinstance(rig.system, ExplainsFailures)
    found = rig.system.explain([status.task_id])[status.task_id]
    assert (found.log, found.line) == ("root.log", None)
    assert found.cause == "No matching package to install: 'gone-devel'"


def test_a_task_without_logs_is_not_explained(rig: KojiRig) -> None:
    rig.double.faults.breaks = [(koji.BuildError("package one not in list for tag module-x"), {})]
    (status,) = rig.end(rig.system.submit([rig.job(rig.module(), 1, "one")]))
    assert isinstance(rig.system, ExplainsFailures)
    assert rig.system.explain([status.task_id, 999_999]) == {}
