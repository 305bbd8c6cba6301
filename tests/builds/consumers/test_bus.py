"""The real consumer on a real bus: messages of Koji advance module builds."""

from __future__ import annotations

import time
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builds import dispatch
from builds.consumers import koji_events
from builds.models import ComponentBuild, ComponentBuildTrace, OutboxMessage, Wait
from mbs.states import BuildState, ComponentState
from tests import factories
from tests.builds.consumers.consumer import SAMPLE, Consumer
from tests.builds.consumers.messages import BUILD, TAG, TASK, build_changed, tagged, task_changed
from tests.builds.messaging.rabbitmq import RabbitMQ
from tests.builds.workflow import simulated as books
from tests.builds.workflow.modules import make_build, wait_for_state
from tests.processes import wait_for

SCHEMA = {"fedora_messaging_schema": "koji_fedoramessaging.build.BuildStateChangeV1"}


@pytest.fixture
def consumers(workers, broker: RabbitMQ, tmp_path: Path) -> Iterator[Callable[..., Consumer]]:
    """Start a consumer with a queue of its own, and one for what it drops."""
    started = []

    def start(**environ: str) -> Consumer:
        queue = f"mbs-{uuid.uuid4()}"
        broker.declare(f"{queue}.dropped")
        consumer = Consumer(workers.environ | environ, tmp_path, broker, queue)
        started.append(consumer)
        consumer.wait_until_ready()
        return consumer

    yield start
    for consumer in started:
        consumer.kill()
        with broker.channel() as channel:
            channel.queue_delete(consumer.queue)
            channel.queue_delete(f"{consumer.queue}.dropped")


def building(build, *packages: str) -> list[ComponentBuild]:
    """These components, once they are submitted and parked."""

    def parked() -> list[ComponentBuild]:
        rows = ComponentBuild.objects.filter(module_build=build, package__in=packages).exclude(task_id=None)
        rows = rows.filter(pk__in=Wait.objects.values("component_build"))
        return list(rows) if rows.count() == len(packages) else []

    return wait_for(parked, what=f"{packages} to build")


def nvr(component: ComponentBuild) -> str:
    return f"{component.package}-1.0-1.{component.module_build.disttag}"


def end(folder: Path, broker: RabbitMQ, component: ComponentBuild, times: int = 1) -> None:
    """A build ends: the build system says so, and sends word of it."""
    books.end(folder, component.task_id)
    for _ in range(times):
        broker.publish(BUILD, build_changed(component.task_id, 1, nvr(component)), SCHEMA)


def test_messages_alone_bring_a_build_to_its_end(workers, broker, consumers):
    """Nothing asks the build system by itself: no sweep runs. Messages come twice and too late."""
    consumer = consumers()
    workers.start(SIMULATED_BUILD_SECONDS=3600, SIMULATED_REPO_SECONDS=0, NUM_CONCURRENT_BUILDS=2)
    build = make_build(["alpha"], ["beta", "gamma"])
    dispatch.advance(build.pk)
    for batch in (["alpha"], ["beta", "gamma"]):
        for component in building(build, *batch):
            broker.publish(TAG, tagged(f"{build.koji_tag}-build", nvr(component)))
            end(workers.folder, broker, component, times=2)
            broker.publish(BUILD, build_changed(component.task_id, 0, nvr(component)))
            broker.publish(BUILD, {"msg": build_changed(component.task_id, 3, nvr(component))})
    wait_for_state(build, BuildState.READY)
    consumer.wait_for_counts(processed=15, dropped=0, rejected=0)
    for component in build.component_builds.all():
        assert (component.state, component.nvr) == (ComponentState.COMPLETE, nvr(component))
    ended = ComponentBuildTrace.objects.filter(
        component_build__module_build=build, state=ComponentState.COMPLETE
    )
    assert ended.count() == 3
    assert consumer.stop() == 0


def test_schemas_that_are_not_installed_are_not_needed_and_fill_no_log(workers, broker, consumers):
    consumer = consumers()
    component = factories.component_build(factories.module_build(), state=ComponentState.BUILDING, task_id=7)
    books.end(workers.folder, 7, "bash-1-1")
    unknown = {"fedora_messaging_schema": "koji_fedoramessaging.no.such.V1"}
    broker.publish(BUILD, build_changed(7, 1, "bash-1-1"), unknown)
    consumer.wait_for_counts(processed=1, dropped=0, rejected=0)
    component.refresh_from_db()
    assert component.state == ComponentState.COMPLETE
    assert "schema" not in consumer.log.read_text()


def test_a_task_that_fails_fails_the_module(workers, broker, consumers):
    consumers()
    workers.start(SIMULATED_BUILD_SECONDS=3600)
    build = make_build(["alpha"])
    dispatch.advance(build.pk)
    [component] = building(build, "alpha")
    books.end(workers.folder, component.task_id, state="failed")
    broker.publish(TASK, task_changed(component.task_id, "FAILED"))
    wait_for_state(build, BuildState.FAILED)
    assert "alpha: simulated failure" in build.state_reason


def test_a_consumer_goes_on_after_the_broker_was_killed(workers, broker, consumers):
    consumer = consumers()
    workers.start(SIMULATED_BUILD_SECONDS=3600)
    build = make_build(["alpha"], ["beta"])
    dispatch.advance(build.pk)
    end(workers.folder, broker, *building(build, "alpha"))
    [beta] = building(build, "beta")
    broker.kill()
    broker.start()
    end(workers.folder, broker, beta)
    wait_for_state(build, BuildState.READY)
    assert consumer.process.poll() is None


def test_messages_that_came_while_no_consumer_ran_are_heeded(workers, broker, consumers, tmp_path):
    consumer = consumers()
    assert consumer.stop() == 0
    component = factories.component_build(factories.module_build(), state=ComponentState.BUILDING, task_id=7)
    books.end(tmp_path, 7, "bash-1-1")
    broker.publish(BUILD, build_changed(7, 1, "bash-1-1"))
    assert broker.waiting(consumer.queue) == 1
    again = Consumer(workers.environ, tmp_path, broker, consumer.queue)
    try:
        again.wait_for_counts(processed=1)
    finally:
        again.kill()
    component.refresh_from_db()
    assert component.state == ComponentState.COMPLETE


def test_malformed_messages_are_dropped_counted_and_kept_for_a_look(broker, consumers):
    consumer = consumers()
    broker.publish(BUILD, b"\xff no JSON")
    broker.publish(BUILD, b"[1, 2]")
    broker.publish(BUILD, b"[" * 100_000)
    broker.publish(BUILD, build_changed(7, 1), encoding="no-such-thing")
    broker.publish(TAG, b"[1, 2]", {"fedora_messaging_schema": "koji_fedoramessaging.tag.TagV1"})
    broker.publish(TAG, {"tag": 5}, {"fedora_messaging_schema": "koji_fedoramessaging.tag.TagV1"})
    broker.publish(BUILD, build_changed(7, "one"), SCHEMA)
    broker.publish(BUILD, {"new": 1})
    broker.publish(BUILD, {"msg": {"task_id": "x"}})
    broker.publish(TAG, tagged("a b", "bash-1-1"))
    broker.publish(BUILD, build_changed(4711, 1))
    consumer.wait_for_counts(processed=1, rejected=0)
    assert broker.waiting(f"{consumer.queue}.dropped") == 10
    assert broker.waiting(consumer.queue) == 0
    assert consumer.process.poll() is None


def test_an_outage_of_the_database_loses_no_message_and_does_not_spin(workers, broker, consumers, tmp_path):
    """The consumer's way to the database leads nowhere for a while."""
    url = workers.environ["MBS_DATABASE_URL"]
    if not url.startswith("sqlite:"):
        pytest.skip("the way to the database is a symbolic link, for SQLite only")
    component = factories.component_build(factories.module_build(), state=ComponentState.BUILDING, task_id=7)
    away = tmp_path / "away"
    away.mkdir()
    link = away / "database"
    link.symlink_to("/nonexistent/database")
    consumer = consumers(MBS_DATABASE_URL=f"sqlite:///{link}")
    books.end(tmp_path, 7, "bash-1-1")
    broker.publish(BUILD, build_changed(7, 1, "bash-1-1"))
    wait_for(lambda: consumer.state()["consumed"]["rejected"], what="the message to be given back")
    time.sleep(3)
    assert consumer.state()["consumed"]["rejected"] <= 3
    link.unlink()
    link.symlink_to(url.removeprefix("sqlite:///"))
    wait_for(lambda: consumer.state()["consumed"]["processed"] == 1, what="the message to come again")
    component.refresh_from_db()
    assert component.state == ComponentState.COMPLETE


def test_the_consumer_publishes_what_it_records(broker, consumers, bus_config, queue, tmp_path):
    """With the reactor that consumes: another one is not started."""
    component = factories.component_build(factories.module_build(), state=ComponentState.BUILDING, task_id=7)
    consumer = consumers(MBS_MESSAGING="fedora-messaging")
    books.end(tmp_path, 7, "bash-1-1")
    broker.publish(BUILD, build_changed(7, 1, "bash-1-1"))
    consumer.wait_for_counts(processed=1)
    [row] = OutboxMessage.objects.all()
    assert row.published_at is not None
    [(_, _, body)] = [
        message for message in broker.drain(queue) if message[1].message_id == str(row.message_id)
    ]
    assert body["id"] == component.pk
    assert body["state_name"] == "COMPLETE"
    assert "Traceback" not in consumer.log.read_text()


def test_the_sample_file_binds_what_is_consumed():
    sample = tomllib.loads(SAMPLE.read_text())
    [binding] = sample["bindings"]
    assert {key.removeprefix("org.fedoraproject.prod.") for key in binding["routing_keys"]} == set(
        koji_events._KINDS
    )
    assert sample["queues"]["mbs"]["durable"]
    assert sample["callback"] == "config.consumer:consume"
