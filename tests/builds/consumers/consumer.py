"""Run a consumer as operators do: ``fedora-messaging consume`` with the sample file of ``deploy/``."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.builds.messaging.rabbitmq import RabbitMQ
from tests.processes import ROOT, free_port, wait_for

SAMPLE = ROOT / "deploy" / "fedora-messaging.toml"
DROPPED = "mbs.dropped"


def configure(folder: Path, broker: RabbitMQ, queue: str, port: int) -> Path:
    """Write the sample file for this broker, without TLS; return its path."""
    text = SAMPLE.read_text()
    text = re.sub(r"(?m)^amqp_url = .*", f'amqp_url = "{broker.url}"', text)
    text = re.sub(r"(?ms)^\[tls\]\n.*?\n\n", "", text)
    text = text.replace("[queues.mbs]", f'[queues."{queue}"]').replace('queue = "mbs"', f'queue = "{queue}"')
    text = text.replace(DROPPED, f"{queue}.dropped").replace("port = 8010", f"port = {port}")
    path = folder / "consumer.toml"
    path.write_text(text)
    return path


class Consumer:
    """A consumer process with its own queue."""

    def __init__(self, environ: dict[str, str], folder: Path, broker: RabbitMQ, queue: str) -> None:
        self.queue = queue
        self.log = folder / "consumer.log"
        self._port = free_port()
        command = [
            str(Path(sys.executable).with_name("fedora-messaging")),
            "--conf",
            str(configure(folder, broker, queue, self._port)),
            "consume",
        ]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environ},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def state(self) -> dict[str, Any]:
        """Return its reported state: whether it consumes, and its counters of messages."""
        with suppress(httpx.HTTPError):
            answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self._port}/ready").json()
            return answer
        return {}

    def wait_until_ready(self) -> None:
        """Wait until it consumes."""
        wait_for(
            lambda: self.state().get("consuming") or self.process.poll(), 60, f"the consumer, see {self.log}"
        )
        assert self.process.poll() is None, self.log.read_text()[-3000:]

    def wait_for_counts(self, **counts: int) -> None:
        """Wait until it has processed, dropped, rejected, ... some numbers of messages."""
        wait_for(
            lambda: counts.items() <= self.state().get("consumed", {}).items(),
            30,
            f"{counts}, not {self.state()}",
        )

    def stop(self) -> int:
        """Terminate it; return its exit code."""
        self.process.terminate()
        return self.process.wait(20)

    def kill(self) -> None:
        """Kill it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
