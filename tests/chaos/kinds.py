"""Register the kinds of faults, and say which objects faults affect."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.builds.messaging.rabbitmq import RabbitMQ
from tests.chaos.deployment import Deployment
from tests.chaos.hub import Bus, ChaosHub
from tests.chaos.modules import Client, PlannedModule
from tests.chaos.servers import FaultyRedis, Postgres


class World(Protocol):
    """The objects that faults affect."""

    folder: Path
    disk: Path | None
    postgres: Postgres
    redis: FaultyRedis
    rabbit: RabbitMQ
    hub: ChaosHub
    bus: Bus
    client: Client
    deployment: Deployment
    modules: list[PlannedModule]

    def module_of(self, name: str, version: str) -> PlannedModule:
        """Return the module that a build belongs to."""

    def say(self, text: str) -> None:
        """Show a line of progress."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        weight: Relative frequency.
        group: Faults of a group do not overlap; empty for a fault without duration.
        run: Injects the fault.
    """

    weight: float
    group: str
    run: Callable[[World, random.Random], str]


KINDS: dict[str, Kind] = {}


def kind(weight: float, group: str = "") -> Callable[[Callable[[World, random.Random], str]], None]:
    """Register a function that injects a fault, ends it and returns what it did."""

    def register(function: Callable[[World, random.Random], str]) -> None:
        KINDS[function.__name__] = Kind(weight, group, function)

    return register


class NothingToDo(Exception):
    """This fault has no target at present."""
