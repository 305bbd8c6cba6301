from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.messaging.rabbitmq import MISSING, RabbitMQ


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
