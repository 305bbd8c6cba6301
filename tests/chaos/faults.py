"""The kinds of faults that are injected during a run, one function for each.

Begin and end of a fault are recorded. After its end, everything can work again.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.chaos.deployment import Deployment, Process
from tests.chaos.hub import Bus, ChaosHub
from tests.chaos.modules import Client, PlannedModule
from tests.chaos.servers import APPLICATION, FaultyRedis, Postgres
from tests.messaging.rabbitmq import RabbitMQ


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


@dataclass
class Fault:
    """A fault that was injected. Times are seconds since the epoch."""

    kind: str
    begin: float
    end: float = 0.0
    what: str = ""
    happened: bool = True


KINDS: dict[str, Kind] = {}


def kind(weight: float, group: str = "") -> Callable[[Callable[[World, random.Random], str]], None]:
    """Register a function that injects a fault, ends it and returns what it did."""

    def register(function: Callable[[World, random.Random], str]) -> None:
        KINDS[function.__name__] = Kind(weight, group, function)

    return register


class NothingToDo(Exception):
    """This fault has no target at present."""


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


# -- processes ---------------------------------------------------------------------------------------------


def _process(world: World, dice: random.Random) -> Process:
    return dice.choice([process for process in world.deployment.processes.values() if process.members()])


def _kill(process: Process, pid: int, number: signal.Signals) -> None:
    process.expected = process.expected or pid == process.members()[0]
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _stop(pids: Collection[int], seconds: float) -> None:
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if number == signal.SIGSTOP:
            time.sleep(seconds)


@kind(7)
def kill_main(world: World, dice: random.Random) -> str:
    """Kill the main process of a service."""
    process = _process(world, dice)
    with world.deployment.lock:
        _kill(process, process.members()[0], signal.SIGKILL)
    return process.name


@kind(10)
def kill_child(world: World, dice: random.Random) -> str:
    """Kill a child process of a service."""
    processes = [each for each in world.deployment.processes.values() if len(each.members()) > 1]
    # The processes that run the steps of builds are the most important ones.
    process = dice.choice(processes + 3 * [each for each in processes if each.name.startswith("workflow")])
    pid = dice.choice(process.members()[1:])
    _kill(process, pid, signal.SIGKILL)
    return f"{process.name} {pid}"


@kind(4, "stop")
def stop_process(world: World, dice: random.Random) -> str:
    """Stop one process for 20 seconds."""
    process = _process(world, dice)
    _stop([dice.choice(process.members())], 20)
    return process.name


@kind(3, "stop")
def stop_service(world: World, dice: random.Random) -> str:
    """Stop all processes of a service for 20 seconds."""
    process = _process(world, dice)
    _stop(process.members(), 20)
    return process.name


@kind(2)
def terminate(world: World, dice: random.Random) -> str:
    """Terminate a service."""
    process = _process(world, dice)
    with world.deployment.lock:
        _kill(process, process.members()[0], signal.SIGTERM)
    return process.name


@kind(1.5, "beat")
def two_beats(world: World, dice: random.Random) -> str:
    """Run a second beat."""
    beat = world.deployment.processes["beat"]
    command = [part.replace("/beat", "/second-beat") for part in beat.command]
    with (world.folder / "logs" / "second-beat.log").open("ab") as out:
        second = subprocess.Popen(
            command,
            cwd=world.folder / "work",
            env={**os.environ, **beat.environ},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    time.sleep(20)
    second.kill()
    second.wait()
    return ""


@kind(3, "clock")
def clock(world: World, dice: random.Random) -> str:
    """Restart a worker with a wrong clock, and 20 s later with the correct one.

    20 s correspond to 200 s in production: more than the intervals of sweeps, less than ``SUBMIT_LEASE``.
    """
    process = world.deployment.processes[dice.choice(["workflow2", "sweeps"])]
    skew = dice.choice([-20.0, -8.0, 8.0, 20.0])
    for value in (skew, 0.0):
        with world.deployment.lock:
            process.skew, process.expected = value, True
            process.send(signal.SIGKILL)
        if value:
            time.sleep(20)
    return f"{process.name} {skew:+g} s"


@kind(1.5, "disk")
def disk_full(world: World, dice: random.Random) -> str:
    """Fill the file system with the service's data and temporary files."""
    if world.disk is None:
        raise NothingToDo("only root can mount a small file system")
    filling, seconds = world.disk / "filling", dice.uniform(3, 10)
    try:
        with suppress(OSError), filling.open("wb") as file:
            while True:
                file.write(bytes(1 << 20))
        time.sleep(seconds)
    finally:
        filling.unlink(missing_ok=True)
    return f"{seconds:.0f} s"


# -- Redis -------------------------------------------------------------------------------------------------


@kind(4, "redis")
def redis_flush(world: World, dice: random.Random) -> str:
    """Empty Redis."""
    world.redis.client().flushall()
    return ""


@kind(3, "redis")
def redis_restart(world: World, dice: random.Random) -> str:
    """Kill Redis and start it again."""
    seconds = dice.choice((0, 1, 5))
    world.redis.kill()
    time.sleep(seconds)
    world.redis.start()
    return f"{seconds} s"


@kind(2, "redis")
def redis_sleep(world: World, dice: random.Random) -> str:
    """Freeze Redis."""
    seconds = dice.choice((3, 6, 15))
    with world.redis.frozen():
        time.sleep(seconds)
    return f"{seconds} s"


@kind(3)
def redis_connections(world: World, dice: random.Random) -> str:
    """Close all connections to Redis."""
    return str(world.redis.client().execute_command("CLIENT", "KILL", "TYPE", "normal"))


# -- PostgreSQL --------------------------------------------------------------------------------------------


def _restart_postgres(world: World, dice: random.Random, mode: str) -> str:
    seconds = dice.choice((0, 1, 4))
    world.postgres.stop(mode)
    time.sleep(seconds)
    world.postgres.start()
    return f"{seconds} s"


@kind(2, "postgresql")
def postgresql_restart(world: World, dice: random.Random) -> str:
    """Restart PostgreSQL."""
    return _restart_postgres(world, dice, "fast")


@kind(2, "postgresql")
def postgresql_crash(world: World, dice: random.Random) -> str:
    """Crash PostgreSQL and start it again."""
    return _restart_postgres(world, dice, "immediate")


@kind(6)
def postgresql_connections(world: World, dice: random.Random) -> str:
    """Close some connections to PostgreSQL."""
    rows = world.postgres.query(
        "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND application_name <> %s ORDER BY random() LIMIT %s) x",
        APPLICATION,
        dice.choice((1, 2, 5)),
    )
    return str(len(rows))


@kind(1.5, "postgresql")
def postgresql_read_only(world: World, dice: random.Random) -> str:
    """Make PostgreSQL read-only for some seconds, as during a failover."""
    seconds = dice.uniform(2, 8)
    with world.postgres.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
        for value in ("on", "off"):
            cursor.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            cursor.execute("SELECT pg_reload_conf()")
            if value == "on":
                time.sleep(seconds)
    return f"{seconds:.0f} s"


@kind(1, "postgresql")
def postgresql_locked(world: World, dice: random.Random) -> str:
    """Lock a table for some seconds, as a migration does."""
    table = dice.choice(
        ("builds_wait", "builds_modulebuild", "builds_componentbuild", "builds_outboxmessage")
    )
    with world.postgres.connect() as connection, connection.cursor() as cursor:
        connection.autocommit = False
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        time.sleep(dice.uniform(2, 8))
        connection.rollback()
    return table


# -- RabbitMQ and the bus ----------------------------------------------------------------------------------


@kind(1.5, "rabbitmq")
def rabbitmq_restart(world: World, dice: random.Random) -> str:
    """Kill RabbitMQ and start it again."""
    seconds = dice.choice((0, 5))
    world.rabbit.kill()
    time.sleep(seconds)
    world.rabbit.start()
    return f"{seconds} s"


@kind(3, "bus")
def bus_storm(world: World, dice: random.Random) -> str:
    """Lose, duplicate and delay more of the hub's messages."""
    before = world.bus.shares
    world.bus.shares = dice.choice(((0.5, 0.3, 0.5), (1.0, 0.0, 0.0), (0.0, 1.0, 1.0)))
    what = "lost {}, duplicated {}, delayed {}".format(*world.bus.shares)
    time.sleep(dice.uniform(5, 12))
    world.bus.shares = before
    return what


# -- the hub -----------------------------------------------------------------------------------------------


@kind(2, "hub")
def hub_refuses(world: World, dice: random.Random) -> str:
    """Refuse connections to the hub."""
    world.hub.refuse(dice.uniform(3, 12))
    return ""


@kind(2, "hub")
def hub_errors(world: World, dice: random.Random) -> str:
    """Answer requests to the hub with an HTTP error."""
    world.hub.faults.status = dice.choice((500, 502, 503))
    what = str(world.hub.faults.status)
    time.sleep(dice.uniform(3, 12))
    world.hub.faults.status = 200
    return what


@kind(2, "hub")
def hub_offline(world: World, dice: random.Random) -> str:
    """Answer that the hub is offline."""
    world.hub.faults.offline = True
    time.sleep(dice.uniform(3, 12))
    world.hub.faults.offline = False
    return ""


@kind(2, "hub")
def hub_answers_late(world: World, dice: random.Random) -> str:
    """Carry requests out after their callers have given up."""
    seconds = dice.uniform(8, 20)
    end = time.monotonic() + seconds
    world.hub.late_by = lambda: max(0.0, end - time.monotonic())
    time.sleep(seconds + 0.5)
    world.hub.late_by = lambda: 0.0
    return f"{seconds:.0f} s"


@kind(4, "hub")
def hub_hangs_up(world: World, dice: random.Random) -> str:
    """Break connections before a request is carried out, after it, or within the answer."""
    own, share = random.Random(dice.random()), dice.choice((0.1, 0.3, 0.6))
    world.hub.dropped = lambda: own.choice(("before", "after", "half")) if own.random() < share else ""
    time.sleep(dice.uniform(5, 12))
    world.hub.dropped = lambda: ""
    world.hub.faults.drop.clear()
    return str(share)


@kind(2)
def hub_sessions(world: World, dice: random.Random) -> str:
    """Invalidate all sessions of the hub."""
    forget = dice.random() < 0.5
    with world.hub.lock:
        for session in world.hub.sessions.values():
            session.expired = True
        if forget:
            world.hub.sessions.clear()
    return "forgotten" if forget else "expired"


@kind(1)
def hub_refuses_tag(world: World, dice: random.Random) -> str:
    """Let a tagging task fail."""
    world.hub.faults.tag_fails += 1
    return ""


@kind(1.5)
def hub_fails_repository(world: World, dice: random.Random) -> str:
    """Let regenerations of repositories fail."""
    world.hub.faults.repo_fails += dice.choice((1, 2))
    return ""


# -- people ------------------------------------------------------------------------------------------------


def _any_build(world: World, states: str) -> tuple[int, PlannedModule, str]:
    rows = world.postgres.query(
        "SELECT id, name, version, owner FROM builds_modulebuild"
        f" WHERE state IN ({states}) ORDER BY random() LIMIT 1"
    )
    if not rows:
        raise NothingToDo("no such build")
    number, name, version, owner = rows[0]
    return number, world.module_of(name, version), owner


def _told(number: int, status: int, answer: Any) -> str:
    return f"{number} -> {status}{'' if status == 200 else f' {answer}'[:120]}"


@kind(8)
def cancel(world: World, dice: random.Random) -> str:
    """Cancel a random build that is under way."""
    if sum(bool(module.canceled) for module in world.modules) > len(world.modules) * 0.3:
        raise NothingToDo("a third of the modules was canceled already")
    number, module, owner = _any_build(world, "0, 1, 2")
    module.canceled.append(time.time())
    body = {"state": "failed", "owner": owner}
    return _told(number, *world.client.send("PATCH", f"module-builds/{number}", body, timeout=45))


@kind(8)
def retry(world: World, dice: random.Random) -> str:
    """Resume a random failed build."""
    number, _, owner = _any_build(world, "4")
    path = f"module-builds/{number}/retry"
    return _told(number, *world.client.send("POST", path, {"owner": owner}, timeout=45))
