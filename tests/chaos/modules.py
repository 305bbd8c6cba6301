"""The modules of a run, and the REST client that submits, cancels and retries them."""

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
#: Share of modules that are a later version of an earlier one, whose components they reuse.
LATER = 0.08


@dataclass
class LocalBuildRequest:
    """A module as it is to be built, and what people did to it.

    :cvar bad: components that never build: the module can only fail.
    :cvar flaky: components that fail the first time.
    :cvar canceled: times at which a cancellation was sent.
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


def wishes(size: int, seed: int, components: tuple[int, int]) -> list[LocalBuildRequest]:
    """Return the modules of a run.

    :param components: the least and the largest number of components of a module.
    """
    dice, made = random.Random(seed), []
    for number in range(size):
        former = made[dice.randrange(max(1, len(made) // 2))] if made else None
        if number > size // 4 and dice.random() < LATER and former and _builds_always(former):
            made.append(_later(former, 2 + number))
        else:
            made.append(_wish(number, dice, components))
    return made


def _builds_always(request: LocalBuildRequest) -> bool:
    return not (request.bad or request.flaky or request.graph) and request.version == 1


def _later(former: LocalBuildRequest, version: int) -> LocalBuildRequest:
    components = former.document.partition("    rpms:\n")[2]
    document = DOCUMENT.format(name=former.name, version=version, components=components)
    return LocalBuildRequest(former.name, version, document, list(former.packages), former.graph)


def _wish(number: int, dice: random.Random, components: tuple[int, int]) -> LocalBuildRequest:
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
            # One component at least names another: otherwise the module has batches.
            after = after or (packages[:1] if 0 < place == len(packages) - 1 else [])
            more = f", buildafter: [{', '.join(after)}]" if after else ""
        lines.append(f"      {package}: {{rationale: needed, ref: main{more}}}\n")
    name = f"chaos-{number:03}"
    document = DOCUMENT.format(name=name, version=1, components="".join(lines))
    return LocalBuildRequest(name, 1, document, packages, graph, bad, flaky)


class Client:
    """A REST client that measures every request.

    :cvar requests: time, kind, seconds and status of each; status 0: no answer came.
    """

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}/module-build-service/2"
        self.requests: list[tuple[float, str, float, int]] = []
        self._lock = threading.Lock()

    def send(self, method: str, path: str, body: object = None, timeout: float = 60.0) -> tuple[int, Any]:
        """Return the status and the answer; 0 when no answer came: the request may have been carried out."""
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

    def submit(self, request: LocalBuildRequest, owner: str, until: float) -> bool:
        """Submit a module until it is accepted; return whether it was, before ``until`` (monotonic).

        :raises RuntimeError: the service refuses a valid module.
        """
        while time.monotonic() < until:
            body = {"modulemd": request.document, "owner": owner}
            status, answer = self.send("POST", "module-builds/", body, timeout=90)
            # 409: an earlier try was recorded although its answer was lost.
            if status in (201, 409):
                request.accepted = request.accepted or time.time()
                return True
            if status and status < 500:
                raise RuntimeError(f"{request.name} was refused: {status} {answer}")
            time.sleep(0.7)
        return False
