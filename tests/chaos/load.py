"""Modules, submitted, canceled and retried over REST."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field

import requests

DOCUMENT = """document: modulemd
version: 2
data:
  name: {name}
  stream: "main"
  version: {version}
  summary: A module of chaos
  description: A module of chaos.
  license: {{module: [MIT]}}
  dependencies:
  - buildrequires: {{platform: [f40]}}
    requires: {{platform: [f40]}}
  components:
    rpms:
{components}"""
PLATFORM = """document: modulemd
version: 2
data:
  name: platform
  stream: f40
  version: 1
  context: "00000000"
  summary: The base
  description: The base.
  license: {module: [MIT]}
  profiles:
    buildroot: {rpms: [bash]}
    srpm-buildroot: {rpms: [bash]}
  xmd: {mbs: {koji_tag: platform-build, virtual_streams: []}}
"""


@dataclass
class Wish:
    """One module as it is to be."""

    name: str
    version: int
    document: str
    packages: list[str]
    graph: bool
    bad: list[str] = field(default_factory=list)  # fails-*: it can never be ready
    flaky: list[str] = field(default_factory=list)
    accepted: float = 0.0
    tries: int = 0
    canceled: list[tuple[float, int]] = field(default_factory=list)  # (time, status code; 0: unknown)
    retried: list[tuple[float, int]] = field(default_factory=list)
    id: int = 0


def wishes(size: int, seed: int, small: bool = False) -> list[Wish]:
    dice = random.Random(seed)
    made = []
    for number in range(size):
        count = dice.randint(3, 6) if small else dice.randint(10, 30)
        kind = dice.random()
        packages = [f"pkg-{n:03}" for n in dice.sample(range(400), count)]
        bad, flaky = [], []
        if kind < 0.12:
            bad = [f"fails-{number:03}"]
            packages.append(bad[0])
        elif kind < 0.27:
            flaky = [f"flaky-{number:03}"]
            packages.append(flaky[0])
        dice.shuffle(packages)
        graph = dice.random() < 0.25
        lines = []
        batches = dice.randint(1, 4)
        for place, package in enumerate(packages):
            more = ""
            if graph:
                after = dice.sample(packages[:place], min(place, dice.choice((0, 0, 1, 2))))
                if after or place == len(packages) - 1:
                    after = after or packages[:1]
                    more = f", buildafter: [{', '.join(after)}]"
            else:
                more = f", buildorder: {dice.randrange(batches) * 10}"
            lines.append(f"      {package}: {{rationale: needed, ref: main{more}}}\n")
        name = f"chaos-{number:03}"
        version = 1
        if number > 20 and dice.random() < 0.08 and not graph:
            # A later version of a module that may be ready by then: reuse.
            former = made[dice.randrange(len(made) // 2)]
            if not former.bad and not former.flaky and former.version == 1:
                name, version = former.name, 2 + number
                lines = former.document.partition("    rpms:\n")[2].splitlines(keepends=True)
                packages, graph, bad, flaky = list(former.packages), former.graph, [], []
        document = DOCUMENT.format(name=name, version=version, components="".join(lines))
        made.append(Wish(name, version, document, packages, graph, bad, flaky))
    return made


class Client:
    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}/module-build-service/2"
        self.latencies: list[tuple[float, str, float, int]] = []
        self.lock = threading.Lock()

    def send(self, method: str, path: str, body=None, timeout=60.0):
        """(status, answer); 0 when nobody knows what became of it."""
        begun = time.monotonic()
        status, answer = 0, None
        try:
            response = requests.request(method, f"{self.root}/{path}", json=body, timeout=timeout)
            status = response.status_code
            try:
                answer = response.json()
            except ValueError:
                answer = {"message": response.text[:200]}
        except requests.RequestException as error:
            answer = {"message": repr(error)[:200]}
        with self.lock:
            self.latencies.append(
                (time.time(), f"{method} {path.split('/')[0]}", time.monotonic() - begun, status)
            )
        return status, answer

    def submit(self, wish: Wish, owner: str, until: float) -> bool:
        while time.monotonic() < until:
            wish.tries += 1
            status, answer = self.send(
                "POST", "module-builds/", {"modulemd": wish.document, "owner": owner}, timeout=90
            )
            if status == 201:
                wish.accepted, wish.id = wish.accepted or time.time(), answer[0]["id"]
                return True
            if status == 409:
                # An earlier try was recorded, although its answer was lost.
                wish.accepted = wish.accepted or time.time()
                return True
            if status and status < 500 and status not in (404, 429):
                raise RuntimeError(f"{wish.name} was refused: {status} {answer}")
            time.sleep(0.7)
        return False
