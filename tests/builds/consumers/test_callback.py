"""Effects of a message: changed rows, outgoing messages, and parked tasks that are sent again."""

from __future__ import annotations

import pytest
from django.db import InterfaceError, OperationalError
from fedora_messaging.exceptions import Drop, Nack
from fedora_messaging.message import Message

from builds.consumers import callback, handlers
from builds.messaging.publishers import MemoryPublisher
from builds.models import OutboxMessage, Phase
from builds.services import components
from mbs.states import BuildState, ComponentState
from tests import factories
from tests.builds.consumers.messages import (
    BUILD,
    REPO,
    TAG,
    TASK,
    build_changed,
    repo_done,
    tagged,
    task_changed,
)

NVR = "bash-5.2-1.module+f40+1+c0ffee00"
KOJI_TAG = "module-quiet-1-2024-c0ffee00"


@pytest.fixture(autouse=True)
def _no_old_messages():
    MemoryPublisher.published.clear()


@pytest.fixture
def build(db, ended):
    return factories.module_build(state=BuildState.BUILD, batch=2, phase=Phase.TAGGING, koji_tag=KOJI_TAG)


@pytest.fixture
def component(build):
    return factories.component_build(build, package="bash", state=ComponentState.BUILDING, task_id=7)


@pytest.mark.parametrize(
    ("topic", "body", "state", "nvr"),
    [
        (BUILD, build_changed(7, 1, NVR), ComponentState.COMPLETE, NVR),
        (BUILD, build_changed(7, 3, NVR), ComponentState.FAILED, NVR),
        (BUILD, build_changed(7, 4, NVR), ComponentState.CANCELED, NVR),
        (TASK, task_changed(7, "FAILED"), ComponentState.FAILED, NVR),
        (TASK, task_changed(7, "CANCELED"), ComponentState.CANCELED, NVR),
    ],
)
def test_the_end_of_a_build_is_recorded_published_and_wakes(
    build, component, park, receive, ended, topic, body, state, nvr
):
    wait = park(build, component.wait_key, component)
    ended(7, nvr or "", state.name.lower())
    receive(topic, body)
    component.refresh_from_db()
    wait.refresh_from_db()
    assert (component.state, component.nvr) == (state, nvr)
    assert component.time_completed is not None
    assert bool(component.state_reason) is (state != ComponentState.COMPLETE)
    assert wait.woken_at is not None
    assert [message.body["state"] for message in MemoryPublisher.published] == [state]


def test_the_start_of_a_build_queries_and_wakes_nothing(
    build, component, park, receive, django_assert_num_queries
):
    wait = park(build, component.wait_key, component)
    with django_assert_num_queries(0):
        receive(BUILD, build_changed(7, 0, NVR))
    component.refresh_from_db()
    wait.refresh_from_db()
    assert (component.state, component.nvr) == (ComponentState.BUILDING, None)
    assert wait.woken_at is None


def test_doubled_and_late_messages_change_nothing_more(component, receive, ended):
    ended(7, NVR)
    receive(BUILD, build_changed(7, 1, NVR))
    component.refresh_from_db()
    ended, told = component.time_completed, OutboxMessage.objects.count()
    for body in (build_changed(7, 1, NVR), build_changed(7, 0, "bash-0-0"), build_changed(7, 3, NVR)):
        receive(BUILD, body)
    receive(TASK, task_changed(7, "FAILED"))
    component.refresh_from_db()
    assert (component.state, component.nvr, component.time_completed) == (ComponentState.COMPLETE, NVR, ended)
    assert OutboxMessage.objects.count() == told
    assert component.state_trace.count() == 2


def test_the_end_of_an_earlier_attempt_is_not_that_of_this_one(component, receive):
    component.task_id = 8
    component.save()
    receive(BUILD, build_changed(7, 3, NVR))
    component.refresh_from_db()
    assert component.state == ComponentState.BUILDING


@pytest.mark.parametrize("suffix", ["", "-build"])
def test_a_repository_wakes_what_waits_for_it(build, park, receive, suffix):
    wait, other = park(build, f"repo:{KOJI_TAG}"), park(build, "repo:another")
    receive(REPO, repo_done(f"{KOJI_TAG}{suffix}"))
    wait.refresh_from_db()
    other.refresh_from_db()
    assert wait.woken_at is not None
    assert other.woken_at is None


def test_the_last_build_of_a_batch_to_be_tagged_wakes_the_step(build, park, receive):
    macros = factories.component_build(
        build, nvr="macros-1-1", state=ComponentState.COMPLETE, build_time_only=True
    )
    bash = factories.component_build(build, nvr=NVR, state=ComponentState.COMPLETE)
    later = factories.component_build(build, nvr="later-1-1", batch=3)
    wait = park(build, f"tag:{KOJI_TAG}")
    for tag, nvr, last in [
        (f"{KOJI_TAG}-build", NVR, False),
        (f"{KOJI_TAG}-build", NVR, False),
        ("f40-build", "macros-1-1", False),
        (KOJI_TAG, NVR, False),
        (f"{KOJI_TAG}-build", "macros-1-1", True),
    ]:
        receive(TAG, tagged(tag, nvr))
        wait.refresh_from_db()
        assert (wait.woken_at is not None) is last
    for component in (macros, bash, later):
        component.refresh_from_db()
    assert (bash.tagged, bash.tagged_in_final) == (True, True)
    assert (macros.tagged, macros.tagged_in_final) == (True, False)
    assert (later.tagged, later.tagged_in_final) == (False, False)


@pytest.mark.parametrize(
    ("topic", "body", "queries"),
    [
        (BUILD, build_changed(4711, 1), 1),
        (BUILD, build_changed(2**70, 1), 1),
        (BUILD, build_changed(-1, 1), 1),
        (TASK, task_changed(4711, "FAILED"), 1),
        (TAG, tagged("f40-updates", NVR), 1),
        (REPO, repo_done("f40-build"), 1),
    ],
)
def test_messages_about_unknown_builds_cost_few_queries(
    component, receive, topic, body, queries, django_assert_max_num_queries
):
    with django_assert_max_num_queries(queries):
        receive(topic, body)


def test_unrelated_messages_cost_no_query(receive, django_assert_num_queries):
    with django_assert_num_queries(0):
        receive("org.fedoraproject.prod.mbs.module.state.change", {"id": 1, "state": 5})


def test_a_message_needs_no_id(component, ended, pauses, monkeypatch, django_capture_on_commit_callbacks):
    ended(7, NVR)
    monkeypatch.setattr(callback, "close_old_connections", lambda: None)
    message = Message(topic=BUILD, body=build_changed(7, 1, NVR))
    message.id = None
    with django_capture_on_commit_callbacks(execute=True):
        callback.Callback()(message)
    component.refresh_from_db()
    assert component.state == ComponentState.COMPLETE


def test_malformed_messages_are_dropped(receive, pauses):
    with pytest.raises(Drop):
        receive(BUILD, {"msg": {"new": "one"}})
    assert pauses == []


@pytest.mark.parametrize("outage", [OperationalError, InterfaceError])
def test_an_outage_gives_messages_back_after_growing_pauses(
    component, receive, ended, pauses, monkeypatch, outage
):
    ended(7, NVR)
    with monkeypatch.context() as broken:
        broken.setattr(handlers, "handle", lambda event: (_ for _ in ()).throw(outage("away")))
        for _ in range(6):
            with pytest.raises(Nack):
                receive(BUILD, build_changed(7, 1, NVR))
    assert pauses == [1, 2, 4, 8, callback.PAUSE_MAX, callback.PAUSE_MAX]
    receive(BUILD, build_changed(7, 1, NVR))
    component.refresh_from_db()
    assert component.state == ComponentState.COMPLETE
    monkeypatch.setattr(handlers, "handle", lambda event: (_ for _ in ()).throw(outage("away")))
    with pytest.raises(Nack):
        receive(BUILD, build_changed(7, 1, NVR))
    assert pauses[6:] == [1]


def test_a_fault_of_the_service_drops_the_message_and_is_logged(
    component, receive, ended, monkeypatch, caplog
):
    ended(7, NVR)
    monkeypatch.setattr(components, "record", lambda *args: 1 / 0)
    with pytest.raises(Drop):
        receive(BUILD, build_changed(7, 1, NVR))
    assert "ZeroDivisionError" in caplog.text
