"""Faults of the bus and the hub, and actions of users at bad moments, one function for each kind."""

from __future__ import annotations

import random
import time
from typing import Any

from tests.chaos.kinds import NothingToDo, World, kind
from tests.chaos.modules import PlannedModule

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


def _answered(number: int, status: int, answer: Any) -> str:
    return f"{number} -> {status}{'' if status == 200 else f' {answer}'[:120]}"


@kind(8)
def cancel(world: World, dice: random.Random) -> str:
    """Cancel a random build that is under way."""
    if sum(bool(module.canceled) for module in world.modules) > len(world.modules) * 0.3:
        raise NothingToDo("a third of the modules was canceled already")
    number, module, owner = _any_build(world, "0, 1, 2")
    module.canceled.append(time.time())
    body = {"state": "failed", "owner": owner}
    return _answered(number, *world.client.send("PATCH", f"module-builds/{number}", body, timeout=45))


@kind(8)
def retry(world: World, dice: random.Random) -> str:
    """Resume a random failed build."""
    number, _, owner = _any_build(world, "4")
    path = f"module-builds/{number}/retry"
    return _answered(number, *world.client.send("POST", path, {"owner": owner}, timeout=45))
