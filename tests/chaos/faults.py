"""Inject faults during a run.

Begin and end of a fault are recorded. After its end, everything can work again.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from tests.chaos import outside_faults, service_faults  # noqa: F401  (they register their kinds)
from tests.chaos.kinds import KINDS, World


@dataclass
class Fault:
    """A fault that was injected. Times are seconds since the epoch."""

    kind: str
    begin: float
    end: float = 0.0
    what: str = ""
    happened: bool = True


class Faults:
    """Injects random faults.

    Args:
        kinds: Names of the kinds to choose from; empty for all.
    """

    def __init__(self, world: World, seed: int, kinds: Collection[str]) -> None:
        self._world, self._dice = world, random.Random(seed)
        self.kinds = [name for name in KINDS if not kinds or name in kinds]
        self.journal: list[Fault] = []
        self._under_way: dict[str, threading.Thread] = {}

    def run(self, seconds: float, pace: tuple[float, float]) -> None:
        """Inject faults for some seconds, with random pauses of ``pace`` (low, high) seconds."""
        until = time.monotonic() + seconds
        weights = [KINDS[name].weight for name in self.kinds]
        while time.monotonic() < until:
            time.sleep(self._dice.uniform(*pace))
            self._inject(self._dice.choices(self.kinds, weights)[0])
        for thread in self._under_way.values():
            thread.join(60)

    def _inject(self, name: str) -> None:
        group = KINDS[name].group
        if not group:
            self._do(name)
        elif group not in self._under_way or not self._under_way[group].is_alive():
            thread = threading.Thread(target=self._do, args=[name], daemon=True, name=name)
            self._under_way[group] = thread
            thread.start()

    def _do(self, name: str) -> None:
        fault = Fault(name, time.time())
        try:
            fault.what = KINDS[name].run(self._world, random.Random(self._dice.random())) or ""
        except Exception as error:  # noqa: BLE001  (another fault may have hit the same target)
            fault.what, fault.happened = f"could not: {error!r}", False
        fault.end = time.time()
        self.journal.append(fault)
        self._world.say(f"fault {name}: {fault.what} ({fault.end - fault.begin:.1f} s)")
