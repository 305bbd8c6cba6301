"""Checks of the bus by ``mbs-manager doctor``."""

from __future__ import annotations

import time
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from fedora_messaging.config import conf

from builds.messaging.publishers import BusUnavailable, publisher
from tests.builds.messaging.rabbitmq import RabbitMQ
from tests.builds.messaging.rows import changes


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file for fedora-messaging that nobody has read; what was read before is back after the test."""
    before, loaded = dict(conf) if conf.loaded else {}, conf.loaded
    path = tmp_path / "bus.toml"
    monkeypatch.setenv("FEDORA_MESSAGING_CONF", str(path))
    conf.clear()
    conf.loaded = False
    yield path
    conf.clear()
    conf.loaded = True
    conf.update(before)
    conf.loaded = loaded


@pytest.fixture
def fedora(bus_config, settings):
    """The publisher of fedora-messaging."""
    update = {"MESSAGING": "fedora-messaging", "MESSAGING_TIMEOUT": 2, "OUTBOX_INTERVAL": 0.0}
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
    with pytest.raises(CommandError, match=r"The bus \(fedora-messaging\) has 1 problem\."):
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
def test_a_bus_that_refuses_the_login_is_reported_at_once(
    fedora, monkeypatch, broker: RabbitMQ, url: str, said: str
) -> None:
    monkeypatch.setitem(conf, "amqp_url", url.format(port=broker.port))
    begun = time.monotonic()
    (problem,) = fedora.examine()
    assert problem.code == "bus_unavailable"
    assert said in problem.message
    assert "amqp_url" in problem.hint
    assert "s3same" not in problem.message
    assert time.monotonic() - begun < 60  # nine tries with pauses of nine seconds would take longer


def test_certificates_that_are_not_there_are_a_fault_of_the_configuration(fedora, monkeypatch) -> None:
    monkeypatch.setitem(conf, "amqp_url", "amqps://guest:guest@127.0.0.1:1/%2F")
    monkeypatch.setitem(conf, "tls", {"ca_cert": "/nowhere.pem", "certfile": None, "keyfile": None})
    (problem,) = fedora.examine()
    assert problem.code == "bus_configuration"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"amqp_url = ", "Failed to parse"),
        (b"amqp_url = '\xff'", "codec"),
        (b"amqp_urls = 'amqp://'", "amqp_urls"),
        (b"bindings = [3]", "argument of type 'int'"),
        (b"amqp_url = 3", "int"),
        (b"amqp_url = 'amqps://127.0.0.1:1'\n[tls]", "certfile"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_problem_each_time_it_is_looked_at(
    fedora, file: Path, content: bytes, said: str
) -> None:
    file.write_bytes(content)
    for _ in range(2):
        publisher.cache_clear()
        out = StringIO()
        with pytest.raises(CommandError, match=r"The bus \(fedora-messaging\) has 1 problem\."):
            call_command("doctor", stdout=out)
        assert "The configuration of the bus cannot be used: " in out.getvalue()
        assert said in out.getvalue()
        assert f"Correct the file: {file}." in out.getvalue()


def test_a_process_logs_an_invalid_file_and_publishes_once_it_is_fixed(
    bus_config: Path, fedora, file: Path, caplog: pytest.LogCaptureFixture, settings
) -> None:
    # The first connection may take longer than half of the lease of tests, after which publishing leaves off.
    settings.MBS = settings.MBS.model_copy(update={"OUTBOX_LEASE": 120, "MESSAGING_TIMEOUT": 30})
    file.write_text("topic_prefix = ")
    publisher.cache_clear()
    starting = publisher()
    (record,) = (each for each in caplog.records if each.levelname == "ERROR")
    assert record.exc_info is None
    assert str(file) in record.getMessage()
    with pytest.raises(BusUnavailable, match="Failed to parse"):
        starting.publish(changes(1))
    file.write_text(bus_config.read_text())
    assert starting.publish(changes(2)) == 2


def test_messages_in_the_log_need_nothing() -> None:
    assert publisher().examine() == []
