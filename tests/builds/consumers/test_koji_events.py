"""Parsing Koji's messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds.consumers.koji_events import BuildChanged, BuildTagged, MalformedMessage, RepoDone, parse
from buildsys.base import TaskState
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
CASES = [
    (BUILD, build_changed(7, 0, NVR), BuildChanged(7, TaskState.OPEN, NVR)),
    (BUILD, build_changed(7, 1, NVR), BuildChanged(7, TaskState.COMPLETE, NVR)),
    (BUILD, build_changed(7, 3, NVR), BuildChanged(7, TaskState.FAILED, NVR)),
    (BUILD, build_changed(7, 4, NVR), BuildChanged(7, TaskState.CANCELED, NVR)),
    (TASK, task_changed(7, "FAILED"), BuildChanged(7, TaskState.FAILED)),
    (TASK, task_changed(7, "CANCELED"), BuildChanged(7, TaskState.CANCELED)),
    (TAG, tagged("module-m-1-2-c-build", NVR), BuildTagged("module-m-1-2-c-build", NVR)),
    (REPO, repo_done("module-m-1-2-c-build"), RepoDone("module-m-1-2-c-build")),
]


@pytest.mark.parametrize(("topic", "body", "event"), CASES)
def test_a_message_is_read_bare_and_in_an_envelope(topic, body, event):
    assert parse(topic, body) == event
    assert parse(topic, {"msg": body, "msg_id": "2024-1"}) == event


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        (BUILD, build_changed(None, 1)),
        (BUILD, build_changed(7, 2)),
        (BUILD, build_changed(7, 99)),
        (BUILD, build_changed(7, 1, instance="s390")),
        (TASK, task_changed(7, "OPEN")),
        (TASK, task_changed(7, "CLOSED")),
        (TASK, task_changed(7, "FAILED", method="newRepo")),
        (BUILD.replace("prod", "stg"), build_changed(7, 1)),
        ("org.fedoraproject.production.buildsys.tag", tagged("t", "a-1-1")),
        ("buildsys.build.state.change", build_changed(7, 1)),
        (TAG.replace(".tag", ".untag"), tagged("t", "a-1-1")),
        ("org.fedoraproject.prod.mbs.module.state.change", {"id": 1}),
        ("org.fedoraproject.prod.mbs.component.state.change", {}),
        ("org.fedoraproject.prod.greenwave.decision.update", {"subject_type": "koji-build"}),
        ("org.fedoraproject.prod.git.receive", {"anything": [1, None]}),
    ],
)
def test_unrelated_messages_are_ignored(topic, body):
    assert parse(topic, body) is None


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        (BUILD, {}),
        (BUILD, {"msg": {}}),
        (BUILD, {"msg": [1]}),
        (BUILD, build_changed("7", 1)),
        (BUILD, build_changed(7, "1")),
        (BUILD, build_changed(7, 1, name=None)),
        (BUILD, build_changed(7, 1, name="")),
        (BUILD, build_changed(7, 1, version="1\0")),
        (BUILD, build_changed(7, 1, version="1\n")),
        (BUILD, build_changed(7, 1, release="1" * 600)),
        (TAG, tagged(None, "a-1-1")),
        (TAG, tagged("t" * 300, "a-1-1")),
        (TAG, tagged("a b", "a-1-1")),
        (REPO, {"instance": "primary"}),
        (REPO, {"tag": "t"}),
        (TASK, task_changed(1.5, "FAILED")),
    ],
)
def test_a_body_that_does_not_fit_its_topic_is_malformed(topic, body):
    with pytest.raises(MalformedMessage):
        parse(topic, body)


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        (BUILD, {"name": "a", "version": "1", "release": "1", "new": 1, "task_id": 7, "instance": "primary"}),
        (TAG, {"name": "a", "version": "1", "release": "1", "tag": "t", "instance": "primary"}),
        (REPO, {"tag": "t", "instance": "primary"}),
        (TASK, {"id": 7, "method": "build", "new": "FAILED", "instance": "primary"}),
    ],
)
def test_fields_that_do_not_matter_may_be_missing(topic, body):
    assert parse(topic, body) is not None


def test_prefixes_and_the_instance_are_options(settings):
    settings.MBS = settings.MBS.model_copy(
        update={"MESSAGING_TOPIC_PREFIX": ("org.centos", "x."), "KOJI_INSTANCE": "cbs"}
    )
    body = repo_done("t", instance="cbs")
    assert parse("org.centos.buildsys.repo.done", body) == RepoDone("t")
    assert parse("x.buildsys.repo.done", body) == RepoDone("t")
    assert parse(REPO, body) is None
    assert parse("org.centos.buildsys.repo.done", repo_done("t")) is None
    settings.MBS = settings.MBS.model_copy(update={"MESSAGING_TOPIC_PREFIX": ()})
    assert parse("any.buildsys.repo.done", body) == RepoDone("t")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(CASES), st.data())
def test_anything_in_any_field_is_an_event_or_malformed_or_nothing(case, data):
    topic, body, _ = case
    key = data.draw(st.sampled_from(sorted(body)))
    try:
        event = parse(topic, {**body, key: data.draw(JSON)})
    except MalformedMessage:
        return
    assert event is None or isinstance(event, BuildChanged | BuildTagged | RepoDone)
