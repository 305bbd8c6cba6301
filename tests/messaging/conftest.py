"""Fixtures of the messaging tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.messaging.rabbitmq import MISSING, RabbitMQ, write_config
from tests.workflow.conftest import workers  # noqa: F401  (a fixture)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A RabbitMQ that runs when a test begins; a test that kills it starts it again."""
    if MISSING:
        pytest.skip(MISSING)
    folder: Path = tmp_path_factory.mktemp("rabbitmq")
    broker = RabbitMQ(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def bus_config(broker: RabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for fedora-messaging that names this broker, which this process has loaded.

    Like consumers' files, it contains a port for metrics, which publishers cannot use.
    """
    from fedora_messaging.config import conf

    taken = f'[monitoring]\naddress = "127.0.0.1"\nport = {broker.port}'
    path = write_config(tmp_path_factory.mktemp("bus"), broker.url, more=taken)
    conf.load_config(str(path))
    return path


@pytest.fixture
def queue(broker: RabbitMQ) -> Iterator[str]:
    """A queue that receives every message of a test."""
    name = f"test-{uuid.uuid4()}"
    broker.declare(name, "#")
    yield name
    with broker.channel() as channel:
        channel.queue_delete(name)
