"""``mbs-manager doctor`` and the bus."""

from __future__ import annotations

import time
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from fedora_messaging.config import conf

from builds.messaging.publishers import publisher
from tests.messaging.rabbitmq import RabbitMQ


@pytest.fixture
def fedora(bus_config, settings):
    """The publisher of fedora-messaging."""
    update = {"MESSAGING": "fedora-messaging", "MESSAGING_TIMEOUT": 2}
    settings.MBS = settings.MBS.model_copy(update=update)
    publisher.cache_clear()
    yield publisher()
    publisher.cache_clear()


@pytest.mark.parametrize("exchange", ["amq.topic", ""])
def test_a_bus_with_the_exchange_is_ready(fedora, monkeypatch, exchange: str) -> None:
    monkeypatch.setitem(conf, "publish_exchange", exchange)
    assert fedora.examine() == []


@pytest.mark.django_db
def test_an_exchange_that_is_missing_is_named_and_not_made(fedora, monkeypatch, broker: RabbitMQ) -> None:
    monkeypatch.setitem(conf, "publish_exchange", "nowhere")
    for _ in range(2):
        (problem,) = fedora.examine()
        assert problem.code == "bus_exchange_missing"
        assert "'nowhere'" in problem.message
        assert f"127.0.0.1:{broker.port}" in problem.message
        assert "publish_exchange" in problem.hint
    out = StringIO()
    with pytest.raises(CommandError, match=r"The bus \(fedora-messaging\) lacks 1 thing"):
        call_command("doctor", stdout=out)
    assert "The build system simulated is ready" in out.getvalue()
    assert problem.message in out.getvalue()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("amqp://guest:s3same@127.0.0.1:{port}/%2F?connection_attempts=9&retry_delay=9", "Authentication"),
        ("amqp://guest:guest@127.0.0.1:{port}/%2Fnone", "none"),
        ("amqp://guest:guest@127.0.0.1:1/%2F?connection_attempts=9&retry_delay=9", "127.0.0.1:1"),
        ("amqps://guest:guest@127.0.0.1:{port}/%2F", "127.0.0.1"),
    ],
)
def test_a_bus_that_lets_nobody_in_says_so_soon(
    fedora, monkeypatch, broker: RabbitMQ, url: str, said: str
) -> None:
    monkeypatch.setitem(conf, "amqp_url", url.format(port=broker.port))
    begun = time.monotonic()
    (problem,) = fedora.examine()
    assert problem.code == "bus_unavailable"
    assert said in problem.message
    assert "amqp_url" in problem.hint
    assert "s3same" not in problem.message
    assert time.monotonic() - begun < 8


def test_certificates_that_are_not_there_are_a_fault_of_the_configuration(fedora, monkeypatch) -> None:
    monkeypatch.setitem(conf, "amqp_url", "amqps://guest:guest@127.0.0.1:1/%2F")
    monkeypatch.setitem(conf, "tls", {"ca_cert": "/nowhere.pem", "certfile": None, "keyfile": None})
    (problem,) = fedora.examine()
    assert problem.code == "bus_configuration"


def test_messages_in_the_log_need_nothing() -> None:
    assert publisher().examine() == []
