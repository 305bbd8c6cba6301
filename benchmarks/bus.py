"""Measure the time from a bus message to the reaction in the build system.

    python -m benchmarks.bus [--builds 60] [--batches 40] [--unknown 5] [--workers 2]

The benchmark starts PostgreSQL, Redis and RabbitMQ on this machine, with the real consumer and a worker,
which both publish messages. The build system is the simulated one, whose builds do not end by themselves;
its state contains the time of each request. The time begins just before a build message is published and
ends

- when the end of the build is in the database,
- at the submission of the next component (there is one slot, so each end frees it for the next),
- when the batch is tagged (at the request for the repository, which follows at once),
- at the submission of the first component of the next batch (its repository takes no time).

Each message is followed by some about unknown builds, as on a bus that several services use.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pika

from tests import postgresql
from tests.builds.consumers.consumer import Consumer
from tests.builds.consumers.messages import BUILD, build_changed
from tests.builds.messaging.rabbitmq import RabbitMQ, write_config
from tests.processes import Worker, redis_server, wait_for

#: Seconds of a build that only ends by a message.
NEVER = 24 * 3600


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--builds", type=int, default=60, help="components of one batch")
    parser.add_argument("--batches", type=int, default=40, help="batches of one component")
    parser.add_argument("--unknown", type=int, default=5, help="messages about other builds, for each")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, _servers(Path(name)) as broker:
        folder = Path(name)
        worker = Worker({}, folder / "worker.log", concurrency=options.workers)
        consumer = Consumer({}, folder, broker, "mbs")
        try:
            worker.wait_until_ready()
            consumer.wait_until_ready()
            for title, shape in (
                ("next component", [[f"package{number}" for number in range(options.builds)]]),
                ("next batch", [[f"package{number}"] for number in range(options.batches)]),
            ):
                _report(title, _measure(folder, broker, shape, options.unknown))
            print(f"consumer: {consumer.state()['consumed']}")
        finally:
            consumer.kill()
            worker.kill()


@contextmanager
def _servers(folder: Path) -> Iterator[RabbitMQ]:
    """Start all servers, set environment variables for them, and create the tables in an empty database."""
    broker = RabbitMQ(folder)
    with ExitStack() as stack:
        stack.callback(broker.stop)
        database = stack.enter_context(postgresql.server())
        redis = stack.enter_context(redis_server())
        broker.start()
        os.environ |= {
            "MBS_CONFIG_FILE": "",
            "MBS_CONFIG_SECTION": "test",
            "MBS_DATABASE_URL": database,
            "MBS_BROKER_URL": redis,
            "MBS_DATA_DIR": str(folder),
            "MBS_MESSAGING": "fedora-messaging",
            "FEDORA_MESSAGING_CONF": str(write_config(folder, broker.url)),
            "MBS_NUM_CONCURRENT_BUILDS": "1",
            "MBS_SIMULATED_BUILD_SECONDS": str(NEVER),
            "MBS_SIMULATED_REPO_SECONDS": "0",
            "MBS_OUTBOX_LEASE": "60",
            "MBS_LOG_LEVEL": "warning",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        _set_up()
        yield broker


def _set_up() -> None:
    import django
    from django.core.management import call_command

    import config.celery  # noqa: F401  (tasks are sent through it)

    django.setup()
    call_command("migrate", verbosity=0)


def _measure(folder: Path, broker: RabbitMQ, shape: list[list[str]], unknown: int) -> dict[str, list[float]]:
    """End the components of a module one after the other; return delays in seconds by kind of reaction."""
    from builds import dispatch
    from mbs.states import BuildState, ComponentState
    from tests.builds.workflow.modules import make_build, wait_for_state

    build = make_build(*shape)
    dispatch.advance(build.pk)
    published: dict[int, float] = {}
    parameters = pika.URLParameters(broker.url)
    # This connection is idle while a component is awaited.
    parameters.heartbeat = 0
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        for number in range(sum(map(len, shape))):
            open_ = build.component_builds.filter(state=ComponentState.BUILDING, task_id__gt=0)
            component = wait_for(open_.exclude(task_id__in=published).first, what=f"component {number}")
            # Exclude the rest of the submission (the row of the parked task, messages).
            time.sleep(0.1)
            nvr = f"{component.package}-1.0-1.{build.disttag}"
            task_id = int(component.task_id or 0)
            published[task_id] = time.time()
            _publish(channel, build_changed(task_id, int(ComponentState.COMPLETE), nvr))
            for other in range(unknown):
                _publish(channel, build_changed(10**9 + other, int(ComponentState.COMPLETE)))
    wait_for_state(build, BuildState.READY)
    delays: dict[str, list[float]] = {}
    for component in build.component_builds.exclude(task_id=None):
        ended = component.time_completed
        if ended is not None and component.task_id is not None:
            delays.setdefault("recorded", []).append(ended.timestamp() - published[component.task_id])
    for what, condition in (("next submission", "component NOTNULL"), ("batch tagged", "component ISNULL")):
        with sqlite3.connect(folder / "simulated.sqlite3") as books:
            rows = books.execute(f"SELECT started FROM task WHERE {condition} ORDER BY started").fetchall()
        times = [time for (time,) in rows]
        for begun in published.values():
            later = [time for time in times if time > begun]
            if later and (what != "batch tagged" or len(shape) > 1):
                delays.setdefault(what, []).append(later[0] - begun)
    return delays


def _publish(channel: Any, body: dict[str, Any]) -> None:
    headers = {
        "fedora_messaging_severity": 20,
        "fedora_messaging_schema": "koji_fedoramessaging.build.BuildStateChangeV1",
    }
    properties = pika.BasicProperties(content_encoding="utf-8", delivery_mode=2, headers=headers)
    channel.basic_publish("amq.topic", BUILD, json.dumps(body).encode(), properties)


def _report(title: str, delays: dict[str, list[float]]) -> None:
    print(title)
    for what, times in delays.items():
        milliseconds = [1000 * seconds for seconds in times]
        print(
            f"  message to {what:15}: median {median(milliseconds):4.0f} ms, "
            f"95 % {quantiles(milliseconds, n=20)[-1]:4.0f} ms, most {max(milliseconds):4.0f} ms "
            f"({len(milliseconds)} measured)",
            flush=True,
        )


if __name__ == "__main__":
    main()
