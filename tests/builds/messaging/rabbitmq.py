"""A RabbitMQ for tests: one node on free ports of this machine, with its own folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pika

from tests.processes import free_port, wait_for

_SERVERS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/local/sbin/rabbitmq-server")
#: Why tests with a real bus are skipped; empty if they are not.
MISSING = (
    ""
    if shutil.which("epmd") and any(Path(path).exists() for path in _SERVERS)
    else "RabbitMQ is not installed (Debian: apt-get install rabbitmq-server)"
)


class RabbitMQ:
    """A node that can be killed and started again with its data."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.log = folder / "out"
        self._epmd_port = free_port()
        self._folder = folder
        self._node: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the node."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F?heartbeat=10"

    def start(self) -> None:
        """Start the node and wait until it answers."""
        folder = self._folder
        if self._epmd is None:
            self._epmd = subprocess.Popen(
                ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        environ = {
            "HOME": folder,
            "ERL_EPMD_PORT": self._epmd_port,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_DIST_PORT": free_port(),
            "RABBITMQ_MNESIA_BASE": folder / "mnesia",
            "RABBITMQ_LOG_BASE": folder / "log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
            "RABBITMQ_GENERATED_CONFIG_DIR": folder / "config",
            "RABBITMQ_CONFIG_FILE": folder / "none",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        with self.log.open("ab") as out:
            self._node = subprocess.Popen(
                [next(path for path in _SERVERS if Path(path).exists())],
                env=os.environ | {name: str(value) for name, value in environ.items()},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        wait_for(self._speaks, 60, f"RabbitMQ, whose log is {self.log}")

    def _speaks(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as probe:
            probe.settimeout(1)
            probe.sendall(b"AMQP\0\0\x09\x01")
            return bool(probe.recv(1))
        return False

    def kill(self) -> None:
        """Kill the node by SIGKILL."""
        if self._node is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._node.pid, signal.SIGKILL)
            self._node.wait()
            self._node = None

    def pause(self) -> None:
        """Stop the node without closing its connections, until ``resume``."""
        assert self._node is not None
        os.killpg(self._node.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Continue after ``pause``."""
        assert self._node is not None
        os.killpg(self._node.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the node."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """Open a channel with publisher confirms."""
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel

    def declare(self, queue: str, *routing_keys: str, **arguments: Any) -> None:
        """Declare a durable queue for these topics."""
        with self.channel() as channel:
            channel.queue_declare(queue, durable=True, arguments=arguments)
            for key in routing_keys:
                channel.queue_bind(queue, "amq.topic", key)

    def waiting(self, queue: str) -> int:
        """Return the number of messages in a queue."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)

    def publish(
        self, topic: str, body: Any, headers: dict[str, Any] | None = None, encoding: str | None = "utf-8"
    ) -> None:
        """Publish a message; a body of bytes is sent unchanged."""
        properties = pika.BasicProperties(
            content_type="application/json",
            content_encoding=encoding,
            delivery_mode=2,
            headers={"fedora_messaging_severity": 20, "fedora_messaging_schema": "base.message"}
            | (headers or {}),
        )
        with self.channel() as channel:
            payload = body if isinstance(body, bytes) else json.dumps(body).encode()
            channel.basic_publish("amq.topic", topic, payload, properties)

    def drain(self, queue: str) -> list[tuple[str, Any, dict[str, Any]]]:
        """Remove all messages from a queue; return topic, properties and body of each."""
        taken = []
        with self.channel() as channel:
            while True:
                method, properties, body = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    return taken
                taken.append((method.routing_key, properties, json.loads(body)))


def write_config(
    folder: Path, url: str, *, topic_prefix: str = "org.fedoraproject.prod", more: str = ""
) -> Path:
    """Write a file for fedora-messaging."""
    path = folder / "fedora-messaging.toml"
    path.write_text(
        f'amqp_url = "{url}"\ntopic_prefix = "{topic_prefix}"\n{more}\n[client_properties]\napp = "test"\n'
    )
    return path
