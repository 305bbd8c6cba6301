"""The modules of a run, and the REST client that submits, cancels and resumes them."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.hub import FAILS, FLAKY

DOCUMENT = """document: modulemd
version: 2
data:
  name: {name}
  stream: "main"
  version: {version}
  summary: A module of the chaos run
  description: A module of the chaos run.
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
#: Shares of modules with a component that always fails, with one that fails once, and with ``buildafter``.
BAD, ONCE, GRAPH = 0.12, 0.15, 0.25
#: Share of modules that are a new version of an earlier one and reuse its components.
LATER = 0.08


@dataclass
class PlannedModule:
    """A module to build, and the actions on it.

    Attributes:
        graph: Whether it uses ``buildafter``.
        bad: Components that always fail, so that the module fails.
        flaky: Components that fail the first time.
        accepted: Time of the accepted submission.
        canceled: Times of cancellations.
    """

    name: str
    version: int
    document: str
    packages: list[str]
    graph: bool
    bad: list[str] = field(default_factory=list)
    flaky: list[str] = field(default_factory=list)
    accepted: float = 0.0
    canceled: list[float] = field(default_factory=list)


def plan_modules(size: int, seed: int, components: tuple[int, int]) -> list[PlannedModule]:
    """Return the modules of a run.

    Args:
        components: Min and max number of components of a module.
    """
    dice, made = random.Random(seed), []
    for number in range(size):
        former = made[dice.randrange(max(1, len(made) // 2))] if made else None
        if number > size // 4 and dice.random() < LATER and former and _builds_always(former):
            made.append(_later(former, 2 + number))
        else:
            made.append(_plan(number, dice, components))
    return made


def _builds_always(module: PlannedModule) -> bool:
    return not (module.bad or module.flaky or module.graph) and module.version == 1


def _later(former: PlannedModule, version: int) -> PlannedModule:
    components = former.document.partition("    rpms:\n")[2]
    document = DOCUMENT.format(name=former.name, version=version, components=components)
    return PlannedModule(former.name, version, document, list(former.packages), former.graph)


def _plan(number: int, dice: random.Random, components: tuple[int, int]) -> PlannedModule:
    packages = [f"pkg-{n:03}" for n in dice.sample(range(400), dice.randint(*components))]
    kind = dice.random()
    bad = [f"{FAILS}{number:03}"] if kind < BAD else []
    flaky = [f"{FLAKY}{number:03}"] if BAD <= kind < BAD + ONCE else []
    packages += bad + flaky
    dice.shuffle(packages)
    graph, batches = dice.random() < GRAPH, dice.randint(1, 4)
    lines = []
    for place, package in enumerate(packages):
        more = f", buildorder: {dice.randrange(batches) * 10}"
        if graph:
            after = dice.sample(packages[:place], min(place, dice.choice((0, 0, 1, 2))))
            # At least one component names another; otherwise the module would have batches.
            after = after or (packages[:1] if 0 < place == len(packages) - 1 else [])
            more = f", buildafter: [{', '.join(after)}]" if after else ""
        lines.append(f"      {package}: {{rationale: needed, ref: main{more}}}\n")
    name = f"chaos-{number:03}"
    document = DOCUMENT.format(name=name, version=1, components="".join(lines))
    return PlannedModule(name, 1, document, packages, graph, bad, flaky)


class Client:
    """A REST client that records every request.

    Attributes:
        requests: Time, kind, seconds and status of each; status 0 if there was no answer.
    """

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}/module-build-service/2"
        self.requests: list[tuple[float, str, float, int]] = []
        self._lock = threading.Lock()

    def send(self, method: str, path: str, body: object = None, timeout: float = 60.0) -> tuple[int, Any]:
        """Send a request; return status and answer. Without an answer (0), it may have been carried out."""
        begun, status, answer = time.monotonic(), 0, None
        try:
            response = httpx.request(method, f"{self.root}/{path}", json=body, timeout=timeout)
            status, answer = response.status_code, response.json()
        except (httpx.HTTPError, ValueError) as error:
            answer = {"message": repr(error)[:200]}
        with self._lock:
            self.requests.append(
                (time.time(), f"{method} {path.split('/')[0]}", time.monotonic() - begun, status)
            )
        return status, answer

    def submit(self, module: PlannedModule, owner: str, until: float) -> bool:
        """Submit a module until it is accepted; return whether it was before ``until`` (monotonic clock).

        Raises:
            RuntimeError: The service refuses a valid module.
        """
        while time.monotonic() < until:
            body = {"modulemd": module.document, "owner": owner}
            status, answer = self.send("POST", "module-builds/", body, timeout=90)
            # 409: an earlier attempt was recorded, but its answer was lost.
            if status in (201, 409):
                module.accepted = module.accepted or time.time()
                return True
            if status and status < 500:
                raise RuntimeError(f"{module.name} was refused: {status} {answer}")
            time.sleep(0.7)
        return False
