"""Builds for tests of faults, and the checks that follow a fault."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

from builds.models import ComponentBuildTrace, ModuleBuild, OutboxMessage, Wait
from builds.services.components import TOPIC as COMPONENT_TOPIC
from builds.services.transitions import TOPIC as MODULE_TOPIC
from tests.processes import wait_for

SHAPE = ["alpha"], ["beta", "gamma"]


GRAPH = {"base": [], "tool": ["base"], "app": ["base", "tool"]}


def assert_sound(folder: Path) -> None:
    """Assert that nothing was built twice, nothing waits, and each change was published once, in order."""
    with sqlite3.connect(folder / "simulated.sqlite3") as books:
        submitted = books.execute(
            "SELECT component, COUNT(*) FROM task WHERE attempt NOTNULL GROUP BY 1"
        ).fetchall()
    assert submitted
    assert {count for _, count in submitted} == {1}
    wait_for(lambda: not Wait.objects.exists(), what="no wait")
    for build in ModuleBuild.objects.all():
        told = [m.body["state"] for m in build.outbox.filter(topic=MODULE_TOPIC)]
        assert told == list(build.state_trace.values_list("state", flat=True))
        assert told == sorted(set(told), key=told.index)
        told = Counter((m.body["id"], m.body["state"]) for m in build.outbox.filter(topic=COMPONENT_TOPIC))
        traces = ComponentBuildTrace.objects.filter(component_build__module_build=build)
        assert told == Counter(traces.values_list("component_build_id", "state"))
        assert set(told.values()) == {1}
    wait_for(lambda: not OutboxMessage.objects.filter(published_at=None).exists(), what="an empty outbox")
