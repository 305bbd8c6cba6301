"""The fake hub with additional faults, and the bus between it and the service."""

from __future__ import annotations

import heapq
import json
import queue
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import koji
import pika

from tests.buildsys.koji.double import HubDouble
from tests.buildsys.koji.double.server import _Handler, _Server

#: Prefixes of packages whose build always fails, or fails the first time in each module.
FAILS, FLAKY = "fails-", "flaky-"


class ChaosHandler(_Handler):
    """A request handler that can answer late or break the connection."""

    server: _Server

    def handle(self) -> None:
        """Answer requests until the client ends the connection, in whatever way."""
        with suppress(OSError):
            super().handle()

    def do_POST(self) -> None:  # noqa: N802  (the name is http.server's)
        """Answer a request, unless a fault prevents it."""
        hub = self.server.hub
        assert isinstance(hub, ChaosHub)
        if hub.refusing:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._hang_up()
        elif late := hub.late_by():
            self._answer_late(hub, late)
        else:
            dropped = hub.dropped()
            if dropped:
                hub.disturbed += 1
                hub.faults.drop.insert(0, dropped)
            super().do_POST()

    def _answer_late(self, hub: ChaosHub, seconds: float) -> None:
        """Carry the request out after its caller has given up."""
        hub.disturbed += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(seconds)
        with hub.lock:
            answer = self._answer(hub, body)
        self._send(answer, "")


class ChaosHub(HubDouble):
    """A hub whose builds take 0 to ``slowest`` seconds.

    Attributes:
        late_by: Returns the delay of the next request in seconds.
        dropped: Returns how to break the next request's connection; see ``Faults.drop`` of the fake hub.
    """

    def __init__(self, seed: int, slowest: float = 3.0) -> None:
        self.refusing = False
        self.late_by: Callable[[], float] = lambda: 0.0
        self.dropped: Callable[[], str] = lambda: ""
        self.disturbed = 0
        self._flaked: set[tuple[str, str]] = set()
        super().__init__(repo_seconds=0.4, tag_seconds=0.15)
        self._server.RequestHandlerClass = ChaosHandler
        dice, make_task = random.Random(seed), self.books.make_task
        ranges = {"build": (0, slowest), "newRepo": (0.1, 0.8), "tagBuild": (0.02, 0.3)}

        def make_slow_task(method: str, request: Any, owner: int, work: Any, seconds: Any = None) -> Any:
            if method in ranges:
                seconds = dice.uniform(*ranges[method])
            return make_task(method, request, owner, work, seconds)

        self.books.make_task = make_slow_task

    def _finish(self, task: Any) -> Any:
        _, target, options = task.request
        package = options.get("mbs_artifact_name", "")
        if package.startswith(FLAKY) and (target, package) not in self._flaked:
            self._flaked.add((target, package))
            raise koji.BuildError("error building package (arch noarch): flaky, see root.log")
        return super()._finish(task)

    def refuse(self, seconds: float) -> None:
        """Stop listening for some seconds."""
        address = self._server.server_address
        self.refusing = True
        self._server.shutdown()
        self._server.server_close()
        time.sleep(seconds)
        self._server = _Server(address, ChaosHandler)
        self._server.hub = self
        self.refusing = False
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def behave(self) -> None:
        """End all faults."""
        self.late_by, self.dropped = lambda: 0.0, lambda: ""
        self.faults.drop.clear()
        self.faults.tag_fails = self.faults.repo_fails = 0

    def builds(self) -> list[Any]:
        """Return all build tasks."""
        with self.lock:
            return [task for task in self.books.tasks.values() if task.method == "build"]

    def open_builds(self) -> int:
        """Return the number of build tasks that have not ended."""
        with self.lock:
            return sum(
                task.method == "build" and task.id in self.books.open for task in self.books.tasks.values()
            )


class Bus(threading.Thread):
    """Publishes the hub's messages on RabbitMQ: late, twice, in another order, or not at all.

    Args:
        url: Address of the broker.
    """

    #: Max delay of a message in seconds.
    LATEST = 8.0

    def __init__(self, url: str, seed: int) -> None:
        super().__init__(daemon=True, name="bus")
        self.counts = dict.fromkeys(("told", "lost", "doubled", "delayed", "published"), 0)
        self.over = False
        self._url, self._dice = url, random.Random(seed)
        self._incoming: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._heap: list[tuple[float, int, tuple[str, Any]]] = []
        self._number = count()
        self.shares = (0.0, 0.0, 0.0)

    def tell(self, topic: str, body: Any) -> None:
        """Accept a message of the hub."""
        self._incoming.put((topic, body))

    def _take(self) -> None:
        lost, doubled, delayed = self.shares
        while True:
            try:
                item = self._incoming.get(timeout=0.02)
            except queue.Empty:
                return
            self.counts["told"] += 1
            if self._dice.random() < lost:
                self.counts["lost"] += 1
                continue
            twice = self._dice.random() < doubled
            self.counts["doubled"] += twice
            for _ in range(1 + twice):
                late = self._dice.random() < delayed
                self.counts["delayed"] += late
                delay = self._dice.uniform(0, self.LATEST) if late else 0.0
                heapq.heappush(self._heap, (time.monotonic() + delay, next(self._number), item))

    def run(self) -> None:
        """Publish due messages, and retry while the broker is not reachable, as a hub's plugin does."""
        while not self.over:
            try:
                parameters = pika.URLParameters(self._url)
                parameters.socket_timeout = parameters.blocked_connection_timeout = 5
                with pika.BlockingConnection(parameters) as connection:
                    channel = connection.channel()
                    channel.confirm_delivery()
                    while not self.over:
                        self._take()
                        connection.process_data_events(0)
                        self._publish_due(channel)
            except (pika.exceptions.AMQPError, OSError):
                self._take()
                time.sleep(0.5)

    def _publish_due(self, channel: Any) -> None:
        while self._heap and self._heap[0][0] <= time.monotonic():
            topic, body = self._heap[0][2]
            properties = pika.BasicProperties(content_type="application/json", delivery_mode=2)
            channel.basic_publish(
                "amq.topic", f"org.fedoraproject.prod.{topic}", json.dumps(body), properties
            )
            heapq.heappop(self._heap)
            self.counts["published"] += 1
