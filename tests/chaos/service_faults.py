"""Faults of the service's processes, of Redis and of PostgreSQL, one function for each kind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Collection
from contextlib import suppress

from tests.chaos.deployment import Process
from tests.chaos.kinds import NothingToDo, World, kind
from tests.chaos.servers import APPLICATION

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
